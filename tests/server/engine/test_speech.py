"""Speech through the engine on fakes."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from server.config import Limits
from server.engine.engine import Engine
from server.engine.streams import SpeechStream
from server.metrics import Metrics
from server.types import SpeechEvent, SpeechRequest, SpokenAudio, SpokenTimes
from tests.fakes import ANNA, FakeDetector, FakeFrontEnd, FakeRecognizer, FakeSynthesizer


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
    await engine.stop(0)


def request(**changes: object) -> SpeechRequest:
    return SpeechRequest(**{"family": "fake", "voice": ANNA, "request_id": "test", **changes})  # type: ignore[arg-type]


async def collect(stream: SpeechStream) -> list[SpeechEvent]:
    return [event async for event in stream]


def audio(events: list[SpeechEvent]) -> np.ndarray:
    return np.concatenate([event.pcm for event in events if isinstance(event, SpokenAudio)])


async def test_says_everything_and_ends(engine: Engine) -> None:
    stream = engine.speak(request())
    stream.push("Hello there. ")
    stream.push("Good bye.")
    stream.finish()
    events = await asyncio.wait_for(collect(stream), 10)
    times = [event for event in events if isinstance(event, SpokenTimes)]
    assert [word.word for t in times for word in t.written] == ["Hello", "there.", "Good", "bye."]
    words = [word for t in times for word in t.written]
    assert words[-1].end_s == pytest.approx(len(audio(events)) / stream.sample_rate_hz)
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in zip(words, words[1:], strict=False))
