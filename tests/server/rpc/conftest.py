"""A real gRPC server on a loopback port, over the real engine with fake models."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from models.importing import ModelKind
from server.config import Settings
from server.engine.engine import Engine
from server.engine.speech.cloning import Cloning
from server.metrics import Metrics
from server.pb import speech_pb2_grpc
from server.requests.model_ids import build_catalog
from server.rpc.server import GrpcServer
from server.services import Services
from server.storage.keys import KeyStore
from server.storage.own_voices import OwnVoices
from server.storage.pronunciations import PronunciationStore
from server.storage.voices import VoiceStore
from tests.fakes import MAKERS, FakeCloner, FakeDetector, FakeFrontEnd, FakeReader, FakeRecognizer, FakeSynthesizer


class Running:
    """One server and a client channel to it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.synthesizer = FakeSynthesizer(max_slots=self.settings.limits.max_speech_sessions)
        self.reader = FakeReader()
        self.recognizer = FakeRecognizer()
        self.second_recognizer = FakeRecognizer(languages=("de", "ja"))
        self.metrics = Metrics()
        self.engine = Engine(
            synthesizers={"fake": self.synthesizer, "reader": self.reader},
            recognizers={"fake_recognizer": self.recognizer, "second_recognizer": self.second_recognizer},
            detector=FakeDetector(),
            front_end=FakeFrontEnd(),
            limits=self.settings.limits,
            metrics=self.metrics,
        )
        self.keys = KeyStore(folder / "keys.json")
        voices = VoiceStore(
            {"fake": self.synthesizer.info.voices, "reader": self.reader.info.voices}, OwnVoices(folder / "voices"), MAKERS
        )
        installed: dict[str, ModelKind] = {"kokoro": "speech", "whisper-base": "recognition"}
        catalog = build_catalog(["fake", "reader"], ["fake_recognizer", "second_recognizer"], {}, installed.get)
        self.pronunciations = PronunciationStore(folder / "pronunciations")
        cloning = Cloning(FakeCloner, FakeDetector())
        services = Services(self.engine, voices, catalog, self.keys, self.settings, self.metrics, self.pronunciations, cloning)
        self.server = GrpcServer(services)
        self.port = 0
        self.channel: Any = None

    @property
    def speech(self) -> Any:
        return speech_pb2_grpc.SpeechStub(self.channel)  # type: ignore[no-untyped-call]

    @property
    def transcription(self) -> Any:
        return speech_pb2_grpc.TranscriptionStub(self.channel)  # type: ignore[no-untyped-call]

    @property
    def voices(self) -> Any:
        return speech_pb2_grpc.VoicesStub(self.channel)  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Running"]:
        await self.engine.start()
        self.port = await self.server.start("127.0.0.1", 0)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as self.channel:
            try:
                yield self
            finally:
                await self.server.stop(grace_s=0.2)
                await self.engine.stop(0)

    async def until_free(self) -> None:
        """Returns once no session is open and no slot is taken."""
        deadline_s = time.perf_counter() + 5
        while self.engine.snapshot().open_sessions or self.synthesizer.slots_in_use:
            assert time.perf_counter() < deadline_s, self.engine.snapshot()
            await asyncio.sleep(0.002)


Launch = Callable[..., Awaitable[Running]]


@pytest.fixture
async def launch(tmp_path: Path) -> AsyncIterator[Launch]:
    """Starts a server with the given settings; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Running:
            return await stack.enter_async_context(Running(tmp_path, **settings).serving())

        yield start


@pytest.fixture
async def running(launch: Launch) -> Running:
    return await launch()
