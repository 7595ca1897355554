"""Speech through the engine on fakes."""

import asyncio
import itertools
import logging

import numpy as np
import pytest

from server.engine.engine import Engine
from server.errors import InternalError, InvalidRequest
from server.metrics import stage_durations_s
from server.requests.speech import MAX_TRANSCRIPT_CHARS, Controls, SpeechFlushed, SpokenAudio, SpokenTimes
from tests.fakes import ANNA, BERT, LETTERS, FakeSynthesizer
from tests.server.engine.speech.speech_harness import audio, build, collect, expected, request, say, until


class TestContexts:
    async def test_says_everything_and_ends(self, engine: Engine) -> None:
        events = await say(engine, "Hello there. ", "Good bye.")
        assert np.array_equal(audio(events), expected("Hello there. Good bye."))
        times = [event for event in events if isinstance(event, SpokenTimes)]
        words = [word for t in times for word in t.written]
        assert [word.word for word in words] == ["Hello", "there.", "Good", "bye."]
        assert words[-1].end_s == pytest.approx(len(audio(events)) / 24_000)
        assert all(a.end_s <= b.start_s + 1e-9 for a, b in itertools.pairwise(words))

    async def test_times_come_before_their_audio(self, engine: Engine) -> None:
        events = await say(engine, "One. Two. Three.")
        known_s = 0.0
        for event in events:
            if isinstance(event, SpokenTimes):
                known_s = event.written[-1].end_s
            if isinstance(event, SpokenAudio):
                assert event.start_s < known_s

    async def test_audio_starts_where_the_last_chunk_ended(self, engine: Engine) -> None:
        events = await say(engine, "One two three four five.")
        at_s = 0.0
        for event in events:
            if isinstance(event, SpokenAudio):
                assert event.start_s == pytest.approx(at_s)
                at_s += len(event.pcm) / 24_000

    async def test_nothing_to_say_ends_at_once(self, engine: Engine) -> None:
        assert await say(engine) == []
        assert await say(engine, "  ") == []

    async def test_continues_after_a_pause_in_the_text(self, engine: Engine) -> None:
        stream = engine.speak(request())
        stream.push("One. ")
        first = await anext(stream)
        assert isinstance(first, SpokenTimes)
        await until(lambda: engine.snapshot().models[0].active == 1)
        await asyncio.sleep(0.05)
        stream.push("Two+three.")
        stream.finish()
        events = [first, *await collect(stream)]
        assert np.array_equal(audio(events), expected("One.", "Two+three."))
        second = [event for event in events if isinstance(event, SpokenTimes)][1]
        assert second.written[0].start_s == pytest.approx(len(expected("One.")) / 24_000)
        assert [word.word for word in second.written] == ["Two+three."]
        assert [word.word for word in second.normalized] == ["Two", "three."]
        assert second.written[0].end_s == pytest.approx(second.normalized[1].end_s)

    async def test_flush_indices(self, engine: Engine) -> None:
        stream = engine.speak(request())
        stream.push("One")
        stream.flush()
        stream.push("Two. Three.")
        stream.flush()
        stream.flush()
        stream.push("Four")
        stream.finish()
        events = await collect(stream)
        marks = [event.flush_index for event in events]
        assert marks == sorted(marks)
        assert [event.flush_index for event in events if isinstance(event, SpeechFlushed)] == [0, 1, 2]
        for index, text in ((0, "One"), (1, "Two. Three."), (3, "Four")):
            part = [event for event in events if event.flush_index == index]
            assert np.array_equal(audio(part), expected(text)), "a chunk mixes audio of before and after a flush"

    async def test_controls_of_later_text(self, engine: Engine) -> None:
        stream = engine.speak(request())
        stream.push("One.")
        stream.set_controls(Controls(speed=0.5))
        stream.push("One.")
        stream.finish()
        assert len(audio(await collect(stream))) == 3 * len(expected("One."))

    async def test_too_much_text_is_refused_and_the_rest_is_spoken(self, engine: Engine, model: FakeSynthesizer) -> None:
        model.gate.clear()
        stream = engine.speak(request())
        stream.push("One.")
        with pytest.raises(InvalidRequest, match="at most 20000") as caught:
            stream.push("x" * MAX_TRANSCRIPT_CHARS)
        assert caught.value.field == "transcript"
        model.gate.set()
        stream.finish()
        assert np.array_equal(audio(await collect(stream)), expected("One."))

    async def test_spoken_text_makes_room_for_more(self, engine: Engine) -> None:
        stream = engine.speak(request())
        for _ in range(3):
            stream.push("a.".ljust(MAX_TRANSCRIPT_CHARS // 2 + 1))
            stream.flush()
            async for event in stream:
                if isinstance(event, SpeechFlushed):
                    break
        stream.cancel()

    async def test_a_long_context_never_runs_out_of_room(self, engine: Engine) -> None:
        """Tokens of a language model: some text is always unfinished, and all of it is more than may wait at once."""
        stream = engine.speak(request())
        pushed_chars = 0
        while pushed_chars < 2 * MAX_TRANSCRIPT_CHARS:
            stream.push(("a" * 20 + ". b").ljust(1000))
            pushed_chars += 1000
            while not isinstance(await anext(stream), SpokenTimes):
                pass
        stream.cancel()

    async def test_unknown_model(self, engine: Engine) -> None:
        with pytest.raises(InvalidRequest, match="accepted values: fake"):
            engine.speak(request(model="other"))

    async def test_a_voice_of_another_language_is_refused_with_those_that_speak_it(self, engine: Engine) -> None:
        with pytest.raises(InvalidRequest, match=f"'{ANNA.name}' speaks 'en', not 'de'; voices that speak it: none"):
            engine.speak(request(voice=ANNA, language="de"))


class TestBatches:
    async def test_neighbours_change_nothing(self, engine: Engine, model: FakeSynthesizer) -> None:
        texts = ["A b c d e f.", "Go on.", "One two three. Four five six.", "Zebra."]
        alone = [audio(await say(engine, text, voice=voice)) for text in texts for voice in (ANNA, BERT)]
        together = await asyncio.gather(*(say(engine, text, voice=voice) for text in texts for voice in (ANNA, BERT)))
        backwards = await asyncio.gather(
            *(say(engine, text, voice=voice) for text in reversed(texts) for voice in (BERT, ANNA))
        )
        for one, two, three in zip(alone, together, reversed(backwards), strict=True):
            assert np.array_equal(one, audio(two))
            assert np.array_equal(one, audio(three))
        assert max(len(step) for step in model.steps) > 1

    async def test_one_bad_session_fails_alone(self, caplog: pytest.LogCaptureFixture) -> None:
        model = FakeSynthesizer(fault_symbol=LETTERS["z"])
        engine = build(model)
        await engine.start()
        with caplog.at_level(logging.CRITICAL, "descant.engine"):
            good, bad = await asyncio.gather(
                say(engine, "One two three."), say(engine, "Zulu.", request_id="bad"), return_exceptions=True
            )
        assert isinstance(bad, InternalError)
        assert isinstance(good, list)
        assert np.array_equal(audio(good), expected("One two three."))
        assert model.slots_in_use == 0
        assert np.array_equal(audio(await say(engine, "Still here.")), expected("Still here."))
        await engine.stop(0)

    async def test_the_log_names_the_request(self, caplog: pytest.LogCaptureFixture) -> None:
        engine = build(FakeSynthesizer(fault_symbol=LETTERS["z"]))
        await engine.start()
        with pytest.raises(InternalError, match="speech synthesis failed"):
            await say(engine, "Zulu.", request_id="req-17")
        assert "req-17" in caplog.text
        await engine.stop(0)

    async def test_text_that_breaks_the_front_end(self, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(InternalError):
            await say(engine, "CRASH now.", request_id="req-18")
        assert "req-18" in caplog.text
        assert np.array_equal(audio(await say(engine, "Fine.")), expected("Fine."))


class TestCancel:
    async def test_slot_is_free_at_the_next_step(self, engine: Engine, model: FakeSynthesizer) -> None:
        stream = engine.speak(request())
        stream.push("A long text without end " * 50 + ".")
        stream.flush()
        await anext(stream)
        assert model.slots_in_use == 1
        stream.cancel()
        assert [event async for event in stream] == []
        steps = len(model.steps)
        await until(lambda: model.slots_in_use == 0)
        assert len(model.steps) <= steps + 1
        await until(lambda: engine.snapshot().open_sessions == 0)
        stream.cancel()

    async def test_cancel_while_waiting(self) -> None:
        model = FakeSynthesizer(max_slots=1)
        engine = build(model)
        await engine.start()
        model.gate.clear()
        first, second = engine.speak(request()), engine.speak(request())
        first.push("One.")
        second.push("Two.")
        first.finish()
        second.cancel()
        model.gate.set()
        assert np.array_equal(audio(await collect(first)), expected("One."))
        assert await collect(second) == []
        await engine.stop(0)


class TestTimes:
    async def test_stages_are_passed_in_order(self, engine: Engine) -> None:
        stream = engine.speak(request())
        stream.push("One.")
        stream.finish()
        await collect(stream)
        times = stream.times
        marks = [times.received_s, times.text_ready_s, times.admitted_s, times.first_step_s, times.first_audio_s]
        assert None not in marks
        assert marks == sorted(marks, key=lambda mark: mark or 0.0)
        durations_s = stage_durations_s(times)
        assert list(durations_s) == ["text", "queue", "first_step", "first_audio"]
        assert times.first_audio_s is not None
        assert sum(durations_s.values()) == pytest.approx(times.first_audio_s - times.received_s)
