"""Models that leave memory when nobody uses them, and come back for the next session."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from server.config import Limits
from server.engine.engine import Engine
from server.engine.on_demand import RETRY_AFTER_FAILURE_S, OnDemandRecognizer, OnDemandSynthesizer
from server.errors import ModelUnavailable
from server.metrics import Metrics, stage_durations_s
from server.requests.speech import SpeechRequest, SpokenAudio
from server.requests.transcription import Transcript, TranscriptionRequest
from tests.fakes import ANNA, FakeDetector, FakeFrontEnd, FakeRecognizer, FakeSynthesizer, silence, speech

WITHIN_S = 10.0
IDLE_S = 0.3


@dataclass
class Loads:
    """What loads a fake, and remembers what it was told."""

    make: Callable[[], Any]
    takes_s: float = 0.0
    fails: bool = False
    loaded: int = 0
    freed: list[bool] = field(default_factory=list)

    def __call__(self) -> Any:
        time.sleep(self.takes_s)
        if self.fails:
            raise OSError("the disk is gone")
        self.loaded += 1
        return self.make()

    def leave(self, drop: Callable[[], bool]) -> None:
        self.freed.append(drop())


@dataclass
class Running:
    engine: Engine
    speech: Loads
    hearing: Loads

    async def until(self, *, in_memory: bool, name: str = "") -> None:
        """All models, or the one of this name."""
        end_s = time.monotonic() + WITHIN_S
        while {model.in_memory for model in self.engine.models if name in ("", model.name)} != {in_memory}:
            assert time.monotonic() < end_s, self.engine.models
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(max_load_s: float = 5.0, load_s: float = 0.0, idle_s: float = IDLE_S) -> AsyncIterator[Running]:
    loads = Loads(FakeSynthesizer), Loads(FakeRecognizer)
    waits = {"idle_s": idle_s, "load_s": load_s, "max_load_s": max_load_s}
    # No name for the models themselves: only who owns them holds them.
    engine = Engine(
        synthesizers={"voice": OnDemandSynthesizer("voice", FakeSynthesizer(), loads[0], loads[0].leave, **waits)},
        recognizers={"recognizer": OnDemandRecognizer("recognizer", FakeRecognizer(), loads[1], loads[1].leave, **waits)},
        detector=FakeDetector(),
        front_end=FakeFrontEnd(),
        limits=Limits(),
        metrics=Metrics(),
    )
    await engine.start()
    try:
        yield Running(engine, *loads)
    finally:
        await engine.stop(0)


async def say(engine: Engine, text: str = "hello there.") -> tuple[int, dict[str, float]]:
    """Samples, and the seconds of each stage."""
    stream = engine.speak(SpeechRequest("voice", ANNA, "test", received_s=time.perf_counter()))
    stream.push(text)
    stream.finish()
    samples = sum([len(event.pcm) async for event in stream if isinstance(event, SpokenAudio)])
    return samples, stage_durations_s(stream.times)


async def hear(engine: Engine) -> str:
    stream = engine.transcribe(TranscriptionRequest("recognizer", "test", interim=False))
    await stream.feed(speech(1, 2, 3))
    await stream.feed(silence(0.5))
    stream.finish()
    return "".join([event.text async for event in stream if isinstance(event, Transcript)]).strip()


async def test_idle_models_leave_and_come_back_for_the_next_session() -> None:
    async with running() as server:
        said, stages = await say(server.engine)
        assert "load" not in stages
        assert await hear(server.engine) == "one two three"
        await server.until(in_memory=False)
        assert (server.speech.freed, server.hearing.freed) == ([True], [True]), "something else still holds the model"
        server.speech.takes_s = server.hearing.takes_s = 0.3
        again, stages = await say(server.engine)
        assert again == said
        assert stages["load"] >= 0.25
        assert await hear(server.engine) == "one two three"
        await server.until(in_memory=True)
        assert (server.speech.loaded, server.hearing.loaded) == (1, 1)
        assert "load" not in (await say(server.engine))[1]


async def test_a_model_with_sessions_stays() -> None:
    async with running(idle_s=0.1) as server:
        speaking = server.engine.speak(SpeechRequest("voice", ANNA, "test"))
        hearing = server.engine.transcribe(TranscriptionRequest("recognizer", "test"))
        await asyncio.sleep(0.8)
        assert all(model.in_memory for model in server.engine.models)
        speaking.cancel()
        hearing.cancel()
        await server.until(in_memory=False)


async def test_a_crowd_that_comes_while_the_model_is_away_waits_for_one_load() -> None:
    async with running() as server:
        await server.until(in_memory=False)
        server.speech.takes_s = server.hearing.takes_s = 0.4
        crowd = await asyncio.gather(*(say(server.engine) for _ in range(6)), *(hear(server.engine) for _ in range(6)))
        assert {samples for samples, _ in crowd[:6]} == {crowd[0][0]}
        assert set(crowd[6:]) == {"one two three"}
        assert (server.speech.loaded, server.hearing.loaded) == (1, 1)


async def test_nobody_waits_for_a_model_that_takes_too_long() -> None:
    async with running(max_load_s=1.0, load_s=30.0) as server:
        await server.until(in_memory=False)
        server.speech.takes_s = 0.3
        for _ in range(2):
            with pytest.raises(ModelUnavailable, match=r"voice comes back .* in about 30 s; .*max_model_load_s") as refused:
                server.engine.speak(SpeechRequest("voice", ANNA, "test"))
            assert refused.value.retry_after_s == pytest.approx(30, abs=1)
        assert server.engine.snapshot().open_sessions == 0
        await server.until(in_memory=True, name="voice")
        assert server.speech.loaded == 1
        assert (await say(server.engine))[0] > 0
        # It is known now that it comes back quickly.
        await server.until(in_memory=False)
        assert (await say(server.engine))[0] > 0


async def test_a_model_that_cannot_come_back_ends_its_sessions_and_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as server:
        await server.until(in_memory=False)
        server.speech.fails = server.hearing.fails = True
        for session in (say, hear):
            ended = await asyncio.gather(*(session(server.engine) for _ in range(3)), return_exceptions=True)
            assert [type(error) for error in ended] == [ModelUnavailable] * 3
            assert all(error.retry_after_s == RETRY_AFTER_FAILURE_S for error in ended)  # type: ignore[union-attr]
        assert "the disk is gone" in caplog.text
        assert server.engine.snapshot().open_sessions == 0
        server.speech.fails = server.hearing.fails = False
        monkeypatch.setattr("server.engine.on_demand.RETRY_AFTER_FAILURE_S", 0.0)
        assert (await say(server.engine))[0] > 0
        assert await hear(server.engine) == "one two three"


async def test_coming_and_going_under_load_loses_no_session() -> None:
    """Models without patience leave at every look, between, before and beside sessions that come at odd times."""
    async with running(idle_s=0.0) as server:
        expected = (await say(server.engine))[0]
        stop = threading.Event()

        def send_away() -> None:
            while not stop.wait(0.001):
                for model in server.engine._residence._models.values():
                    model.leave()

        thread = threading.Thread(target=send_away)
        thread.start()
        try:

            async def client(number: int) -> None:
                for turn in range(12):
                    await asyncio.sleep((number * 7 + turn * 3) % 5 / 100)
                    assert (await say(server.engine))[0] == expected
                    assert await hear(server.engine) == "one two three"

            await asyncio.gather(*(client(number) for number in range(4)))
        finally:
            stop.set()
            thread.join()
        assert server.speech.loaded > 1
        assert server.hearing.loaded > 1
