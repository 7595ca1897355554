"""Speech through the engine on fakes."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from models.base import Pcm
from server.config import Limits
from server.engine.engine import Engine
from server.engine.streams import SpeechStream
from server.engine.text_feed import read_whole
from server.errors import Busy, DeadlineExceeded, InternalError, InvalidRequest, ShuttingDown
from server.metrics import Metrics, stage_durations_s
from server.types import (
    MAX_TRANSCRIPT_CHARS,
    Controls,
    SpeechEvent,
    SpeechFlushed,
    SpeechRequest,
    SpokenAudio,
    SpokenTimes,
)
from tests.fakes import ANNA, BERT, LETTERS, FakeDetector, FakeFrontEnd, FakeRecognizer, FakeSynthesizer, render


def build(model: FakeSynthesizer, **limits: float) -> Engine:
    return Engine(
        synthesizers={"fake": model},
        recognizers={"fake": FakeRecognizer()},
        detector=FakeDetector(),
        front_end=FakeFrontEnd(),
        limits=Limits.model_validate(limits),
        metrics=Metrics(),
    )


@pytest.fixture
def model() -> FakeSynthesizer:
    return FakeSynthesizer()


@pytest.fixture
async def engine(model: FakeSynthesizer) -> AsyncIterator[Engine]:
    engine = build(model)
    await engine.start()
    yield engine
    model.gate.set()
    await engine.stop(0)


def request(**changes: object) -> SpeechRequest:
    return SpeechRequest(**{"family": "fake", "voice": ANNA, "request_id": "test", **changes})  # type: ignore[arg-type]


async def collect(stream: SpeechStream) -> list[SpeechEvent]:
    async with asyncio.timeout(20):
        return [event async for event in stream]


async def say(engine: Engine, *pieces: str, **changes: object) -> list[SpeechEvent]:
    stream = engine.speak(request(**changes))
    for piece in pieces:
        stream.push(piece)
    stream.finish()
    return await collect(stream)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.005)


def audio(events: list[SpeechEvent]) -> Pcm:
    return np.concatenate([event.pcm for event in events if isinstance(event, SpokenAudio)])


def expected(*sentences: str) -> Pcm:
    segments = [s.segment for text in sentences for s in read_whole(FakeFrontEnd(), text)]
    return np.concatenate([render(segment, ANNA, 0)[0] for segment in segments])


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

    async def test_unknown_family(self, engine: Engine) -> None:
        with pytest.raises(InvalidRequest, match="accepted values: fake"):
            engine.speak(request(family="other"))


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


class TestLeases:
    async def test_client_that_never_reads(self) -> None:
        """It stops stepping once its output is full, loses its slot, and disturbs nobody."""
        model = FakeSynthesizer(max_slots=2)
        engine = build(model, stall_timeout_s=0.4)
        await engine.start()
        stalled = engine.speak(request())
        stalled.push("word " * 3000 + ".")
        stalled.finish()
        await until(lambda: engine.snapshot().models[0].active == 1)
        assert np.array_equal(audio(await say(engine, "Not my problem.")), expected("Not my problem."))
        await until(lambda: model.slots_in_use == 0)
        assert stalled._session.unread_s < 20.0 + 0.2, "output is not bounded"
        with pytest.raises(DeadlineExceeded):
            await collect(stalled)
        await engine.stop(0)

    async def test_slow_reader_gets_everything(self, engine: Engine) -> None:
        stream = engine.speak(request())
        text = "word " * 200 + "."
        stream.push(text)
        stream.finish()
        await until(lambda: stream._session.throttled)
        assert np.array_equal(audio(await collect(stream)), expected(text))

    async def test_idle_context_ends_well(self) -> None:
        engine = build(FakeSynthesizer(), context_idle_s=0.2)
        await engine.start()
        stream = engine.speak(request())
        stream.push("One.")
        assert np.array_equal(audio(await collect(stream)), expected("One."))
        assert engine.snapshot().open_sessions == 0
        await engine.stop(0)

    async def test_held_text_keeps_the_context(self) -> None:
        engine = build(FakeSynthesizer(), context_idle_s=0.1)
        await engine.start()
        stream = engine.speak(request(max_buffer_delay_ms=600))
        stream.push("No end yet")
        assert np.array_equal(audio(await collect(stream)), expected("No end yet"))
        await engine.stop(0)

    async def test_silent_context_lends_its_slot_and_goes_on(self) -> None:
        model = FakeSynthesizer(max_slots=1)
        engine = build(model)
        await engine.start()
        open_one = engine.speak(request())
        open_one.push("One.")
        events: list[SpeechEvent] = []
        while not events or len(audio([e for e in events if isinstance(e, SpokenAudio)] or [SILENT])) < len(expected("One.")):
            events.append(await anext(open_one))
        assert np.array_equal(audio(await say(engine, "Guest.")), expected("Guest."))
        open_one.push("Two.")
        open_one.finish()
        events += await collect(open_one)
        assert np.array_equal(audio(events), expected("One.", "Two."))
        times = [event for event in events if isinstance(event, SpokenTimes)]
        assert times[1].written[0].start_s == pytest.approx(len(expected("One.")) / 24_000)
        await engine.stop(0)


SILENT = SpokenAudio(np.zeros(0, np.float32), 0.0, 0)


class TestAdmission:
    async def test_overflow_is_refused_at_once(self) -> None:
        model = FakeSynthesizer(max_slots=1)
        engine = build(model, max_queued_sessions=1)
        await engine.start()
        model.gate.clear()
        streams = [engine.speak(request()) for _ in range(2)]
        with pytest.raises(Busy) as caught:
            engine.speak(request())
        assert caught.value.retry_after_s
        for stream in streams:
            stream.push("Yes.")
            stream.finish()
        await until(lambda: engine.snapshot().models[0].queued == 1 or model.slots_in_use == 1)
        model.gate.set()
        for stream in streams:
            assert np.array_equal(audio(await collect(stream)), expected("Yes."))
        assert np.array_equal(audio(await say(engine, "Room again.")), expected("Room again."))
        await engine.stop(0)

    async def test_not_ready_before_start(self) -> None:
        engine = build(FakeSynthesizer())
        assert not engine.ready
        with pytest.raises(ShuttingDown):
            engine.speak(request())

    async def test_drain_lets_streams_finish_and_takes_no_more(self) -> None:
        model = FakeSynthesizer(step_s=0.01)
        engine = build(model)
        await engine.start()
        stream = engine.speak(request())
        stream.push("One two three four five six.")
        stream.finish()
        stopping = asyncio.create_task(engine.stop(10))
        await asyncio.sleep(0)
        assert not engine.ready
        with pytest.raises(ShuttingDown):
            engine.speak(request())
        assert np.array_equal(audio(await collect(stream)), expected("One two three four five six."))
        await stopping

    async def test_end_of_draining_ends_the_rest(self) -> None:
        engine = build(FakeSynthesizer())
        await engine.start()
        stream = engine.speak(request())
        stream.push("One.")
        await engine.stop(0.05)
        with pytest.raises(ShuttingDown):
            await collect(stream)

    async def test_start_fails_as_the_model_fails(self) -> None:
        engine = build(FakeSynthesizer(fault_symbol=LETTERS["r"]))
        with pytest.raises(RuntimeError, match="symbol that fails"):
            await engine.start()
        assert not engine.ready
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
