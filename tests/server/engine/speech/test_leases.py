"""Slots as leases: who loses one, who waits for one, who is refused."""

import asyncio
import random
import time

import numpy as np
import pytest

from server.engine.engine import Engine
from server.errors import Busy, DeadlineExceeded, ShuttingDown
from server.requests.speech import SpeechEvent, SpokenAudio, SpokenTimes
from server.requests.transcription import TranscriptionRequest
from tests.fakes import LETTERS, FakeSynthesizer
from tests.server.engine.speech.speech_harness import audio, build, collect, expected, request, say, until


class TestLeases:
    async def test_client_that_never_reads(self) -> None:
        """It stops stepping once its output is full, loses its slot, and disturbs nobody."""
        model = FakeSynthesizer(max_slots=2)
        engine = build(model, stall_timeout_s=0.4)
        await engine.start()
        stalled = engine.speak(request())
        stalled.push("word " * 3000 + ".")
        stalled.finish()
        await until(lambda: stalled._session.spoken_samples > 0)
        assert np.array_equal(audio(await say(engine, "Not my problem.")), expected("Not my problem."))
        await until(lambda: model.slots_in_use == 0)
        assert stalled._session.unread_s < 3.0 + 0.2, "output is not bounded"
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

    async def test_who_would_wait_long_is_refused_at_once(self) -> None:
        """A place in the queue is worth nothing to a listener whose turn comes too late."""
        engine = build(FakeSynthesizer(max_slots=1), max_queue_s=0.0)
        await engine.start()
        await say(engine, "This tells how long a slot is held.")
        unread, waiting = (engine.speak(request()) for _ in range(2))
        unread.push("word " * 3000 + ".")
        with pytest.raises(Busy, match=r"limits\.max_queue_s is 0"):
            engine.speak(request())  # the worker does not know yet of the one before
        await until(lambda: engine.snapshot().active_sessions == 1)
        with pytest.raises(Busy, match=r"limits\.max_queue_s is 0"):
            engine.speak(request())  # it would be the first to wait
        waiting.push("Yes.")
        waiting.finish()
        await until(lambda: engine.snapshot().queued_sessions == 1)
        with pytest.raises(Busy, match=r"a slot would be free in about .* s; limits\.max_queue_s is 0") as caught:
            engine.speak(request())
        assert caught.value.retry_after_s
        assert caught.value.retry_after_s >= 1.0
        unread.cancel()
        assert np.array_equal(audio(await collect(waiting)), expected("Yes."))
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

    async def test_refusals_take_no_time_and_leave_running_streams_alone(self) -> None:
        model = FakeSynthesizer(max_slots=2, step_s=0.005)
        engine = build(model, max_queued_sessions=0, max_speech_sessions=2)
        await engine.start()
        streams = [engine.speak(request()) for _ in range(2)]
        for stream in streams:
            stream.push("A sentence that is being spoken.")
            stream.finish()
        took_s = []
        for _ in range(500):
            start_s = time.perf_counter()
            with pytest.raises(Busy) as caught:
                engine.speak(request())
            took_s.append(time.perf_counter() - start_s)
            assert caught.value.retry_after_s
        assert sorted(took_s)[len(took_s) // 2] < 0.001
        for stream in streams:
            assert np.array_equal(audio(await collect(stream)), expected("A sentence that is being spoken."))
        assert engine.snapshot().open_sessions == 0
        await engine.stop(0)

    async def test_random_cancels_give_everything_back(self) -> None:
        await cancel_at_random(300)

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    async def test_ten_thousand_cancels_give_everything_back(self) -> None:
        await cancel_at_random(10_000)


async def cancel_at_random(sessions: int) -> None:
    """Contexts that are cancelled before, in and after their first step, finished or not, read or not."""
    model = FakeSynthesizer(max_slots=8)
    engine = build(model, max_queue_s=3600.0)
    await engine.start()
    draw = random.Random(7)

    async def one() -> None:
        stream = engine.speak(request(key_id=draw.choice(("", "a", "b"))))
        if draw.random() < 0.9:
            stream.push("One two three. Four five six.")
        if draw.random() < 0.5:
            stream.finish()
        for _ in range(draw.randrange(4)):
            await asyncio.sleep(0)
        if draw.random() < 0.5 and stream._session.pushed_chars:
            await anext(stream)
        stream.cancel()

    for _ in range(0, sessions, 20):
        await asyncio.gather(*(one() for _ in range(20)))
    await until(lambda: model.slots_in_use == 0)
    found = engine.snapshot()
    assert (found.open_sessions, found.active_sessions, found.queued_sessions) == (0, 0, 0)
    assert np.array_equal(audio(await say(engine, "Fine.")), expected("Fine."))
    await engine.stop(0)


class TestKeys:
    async def test_one_key_leaves_room_for_others(self) -> None:
        engine = build(FakeSynthesizer(), max_speech_sessions=4, max_queued_sessions=4, key_share=0.75)
        await engine.start()
        streams = [engine.speak(request(key_id="many")) for _ in range(6)]
        with pytest.raises(Busy, match=r"this API key has 6 contexts open.*limits.key_share is 0.75 of 8 places") as caught:
            engine.speak(request(key_id="many"))
        assert caught.value.retry_after_s
        assert np.array_equal(audio(await say(engine, "Hello.", key_id="few")), expected("Hello."))
        streams[0].cancel()
        engine.speak(request(key_id="many"))
        await engine.stop(0)

    async def test_a_number_per_key(self) -> None:
        engine = build(FakeSynthesizer(), max_sessions_per_key=2)
        await engine.start()
        streams = [engine.speak(request(key_id="one")) for _ in range(2)]
        with pytest.raises(Busy, match=r"limits\.max_sessions_per_key is 2"):
            engine.speak(request(key_id="one"))
        for _ in range(20):
            engine.speak(request())
        for stream in streams:
            stream.push("Yes.")
            stream.finish()
            assert np.array_equal(audio(await collect(stream)), expected("Yes."))
        assert np.array_equal(audio(await say(engine, "Again.", key_id="one")), expected("Again."))
        await engine.stop(0)

    async def test_audio_streams_too(self) -> None:
        engine = build(FakeSynthesizer(), max_transcription_sessions=4)
        await engine.start()
        for _ in range(3):
            engine.transcribe(TranscriptionRequest("fake", "test", key_id="many"))
        with pytest.raises(Busy, match="this API key has 3 transcription streams open"):
            engine.transcribe(TranscriptionRequest("fake", "test", key_id="many"))
        engine.transcribe(TranscriptionRequest("fake", "test", key_id="few"))
        with pytest.raises(Busy, match="all 4 places"):
            engine.transcribe(TranscriptionRequest("fake", "test", key_id="few"))
        await engine.stop(0)
