"""An engine on fakes, and what its speech tests say to it."""

import asyncio
from collections.abc import Callable

import numpy as np

from models.audio import Pcm
from models.speech import Synthesizer, Utterance
from server.config import Limits
from server.engine.engine import Engine
from server.engine.speech.stream import SpeechStream
from server.engine.speech.text_feed import read_whole
from server.metrics import Metrics
from server.requests.speech import SpeechEvent, SpeechRequest, SpokenAudio
from tests.fakes import ANNA, FakeDetector, FakeFrontEnd, FakeRecognizer, render


def build(model: Synthesizer, **limits: float) -> Engine:
    return Engine(
        synthesizers={model.info.family: model},
        recognizers={"fake": FakeRecognizer()},
        detector=FakeDetector(),
        front_end=FakeFrontEnd(),
        limits=Limits.model_validate(limits),
        metrics=Metrics(),
    )


def request(**changes: object) -> SpeechRequest:
    return SpeechRequest(**{"model": "fake", "voice": ANNA, "request_id": "test", **changes})  # type: ignore[arg-type]


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


def utterances_of(text: str) -> list[Utterance]:
    return [segment.utterance for segment in read_whole(FakeFrontEnd(), text)]


def expected(*sentences: str) -> Pcm:
    return np.concatenate([render(utterance, ANNA, 0)[0] for text in sentences for utterance in utterances_of(text)])
