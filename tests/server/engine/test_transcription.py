"""Transcription through the engine on fakes."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from server.config import Limits
from server.engine.engine import Engine
from server.engine.hearing import TranscriptStream
from server.metrics import Metrics
from server.types import Transcript, TranscriptEvent, TranscriptionRequest
from tests.fakes import FakeDetector, FakeFrontEnd, FakeRecognizer, FakeSynthesizer, silence, speech


def build(model: FakeRecognizer, **limits: float) -> Engine:
    return Engine(
        synthesizers={"fake": FakeSynthesizer()},
        recognizers={"fake": model},
        detector=FakeDetector(),
        front_end=FakeFrontEnd(),
        limits=Limits.model_validate(limits),
        metrics=Metrics(),
    )


@pytest.fixture
def model() -> FakeRecognizer:
    return FakeRecognizer()


@pytest.fixture
async def engine(model: FakeRecognizer) -> AsyncIterator[Engine]:
    engine = build(model)
    await engine.start()
    yield engine
    await engine.stop(0)


def request(**changes: object) -> TranscriptionRequest:
    return TranscriptionRequest(**{"family": "fake", "request_id": "test", **changes})  # type: ignore[arg-type]


async def collect(stream: TranscriptStream) -> list[TranscriptEvent]:
    async with asyncio.timeout(20):
        return [event async for event in stream]


async def feed_slowly(stream: TranscriptStream, pcm: np.ndarray, piece_s: float = 0.1) -> None:
    """In pieces, each taken before the next, as a live source would bring them."""
    piece = int(piece_s * 16_000)
    for at in range(0, len(pcm), piece):
        await stream.feed(pcm[at : at + piece])
        while stream._session.pending_samples:  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.001)


def finals(events: list[TranscriptEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Transcript) and event.is_final)


async def test_file_fed_at_once(engine: Engine) -> None:
    stream = engine.transcribe(request(interim=False))
    await stream.feed(np.concatenate([silence(1), speech(1, 2, 3), silence(2), speech(4, 5), silence(1)]))
    stream.finish()
    events = await collect(stream)
    assert finals(events) == "one two three four five"
    assert [event.text for event in events if isinstance(event, Transcript)] == ["one two three", " four five"]
    words = [word for event in events if isinstance(event, Transcript) for word in event.words]
    assert words[0].start_s == pytest.approx(1.0, abs=0.05)
    assert words[3].start_s == pytest.approx(3.75, abs=0.05)
