"""Slots as leases: who loses one, who waits for one, who is refused."""

import asyncio

import numpy as np
import pytest

from server.engine.engine import Engine
from server.errors import Busy, DeadlineExceeded, ShuttingDown
from server.types import (
    SpeechEvent,
    SpokenAudio,
    SpokenTimes,
)
from tests.fakes import LETTERS, FakeSynthesizer
from tests.server.engine.speech_harness import audio, build, collect, expected, request, say, until


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
