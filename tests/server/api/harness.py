"""The HTTP and WebSocket API with fake models, served by uvicorn on loopback in a thread."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import uvicorn
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from models.importing import ModelKind
from server.api.app import build_app
from server.api.connection import HttpConnection
from server.config import Limits, Settings
from server.engine.engine import Engine
from server.engine.interface import AnyCloning, AnyEngine
from server.engine.speech.cloning import Cloning
from server.gateways.engine_service import EngineService
from server.gateways.remote import RemoteEngine
from server.metrics import Metrics
from server.process.listen import bind
from server.requests.model_ids import build_catalog
from server.services import Services
from server.storage.keys import KeyStore
from server.storage.own_voices import OwnVoices
from server.storage.pronunciations import PronunciationStore
from server.storage.voices import VoiceStore
from tests.fakes import ANNA, MAKERS, FakeCloner, FakeDetector, FakeFrontEnd, FakeReader, FakeRecognizer, FakeSynthesizer

RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}
VERSIONS = ("2024-06-10", "2024-11-13", "2025-04-16", "2025-11-04", "2026-03-01", "2026-08-14", "2031-01-01")
WAIT_S = 10.0


def speech_body(transcript: str = "hello there.", **fields: Any) -> dict[str, Any]:
    """A complete generation request; None takes a field out."""
    body = {"model_id": "sonic-3", "transcript": transcript, "voice": ANNA.id, "output_format": RAW, **fields}
    return {name: value for name, value in body.items() if value is not None}


class ApiServer:
    """A running server; its engine may be looked at from the test's thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        synthesizer: FakeSynthesizer,
        recognizer: FakeRecognizer,
        reader: FakeReader | None = None,
        second_recognizer: FakeRecognizer | None = None,
        installed: Mapping[str, ModelKind] = MappingProxyType({}),
        behind_gateway: bool = False,
    ) -> None:
        """``reader`` is a second model that speaks, ``installed`` are models that are there and not loaded.
        ``behind_gateway``: the API layers reach the engine through a Unix socket, as in a gateway."""
        self.settings = settings
        self.synthesizer = synthesizer
        self.synthesizers: dict[str, FakeSynthesizer | FakeReader] = {"fake": synthesizer}
        if reader is not None:
            self.synthesizers["reader"] = reader
        self.recognizer = recognizer
        self.recognizers = {"fake_recognizer": recognizer}
        if second_recognizer is not None:
            self.recognizers["second_recognizer"] = second_recognizer
        self.installed = installed
        self._behind_gateway = behind_gateway
        self.engine_service: EngineService | None = None
        self.cloner = FakeCloner()
        self.metrics = Metrics()
        self.keys = KeyStore(settings.data_dir / "keys.json")
        self.own_voices = OwnVoices(settings.data_dir / "voices")
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="api server")
        self.engine: Engine

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """TCP connections that the server has not got rid of."""
        assert self._server is not None
        return len(self._server.server_state.connections)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(WAIT_S), "the server did not start"

    def stop(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the server did not stop"

    def wait_idle(self, within_s: float = WAIT_S) -> float:
        """Wait until no session is open and no slot is taken; gives the seconds it took."""
        start_s = time.perf_counter()
        while self.engine.snapshot().open_sessions or any(model.slots_in_use for model in self.synthesizers.values()):
            assert time.perf_counter() - start_s < within_s, f"still busy: {self.engine.snapshot()}"
            time.sleep(0.002)
        return time.perf_counter() - start_s

    def drain(self, drain_s: float) -> Future[None]:
        """Begin to stop the engine as at SIGTERM; the socket goes on listening."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.engine.stop(drain_s), self._loop)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.engine = Engine(
            synthesizers=self.synthesizers,
            recognizers=self.recognizers,
            detector=FakeDetector(),
            front_end=FakeFrontEnd(),
            limits=self.settings.limits,
            metrics=self.metrics,
        )
        stock = {name: model.info.voices for name, model in self.synthesizers.items()}
        voices, catalog = (
            VoiceStore(stock, self.own_voices, MAKERS),
            build_catalog(list(self.synthesizers), list(self.recognizers), {}, self.installed.get),
        )
        pronunciations = PronunciationStore(self.settings.data_dir / "pronunciations")
        face, cloning = await self._started_engine(Cloning(lambda: self.cloner, FakeDetector()))
        services = Services(face, voices, catalog, self.keys, self.settings, self.metrics, pronunciations, cloning)
        config = uvicorn.Config(
            build_app(services), ws="websockets-sansio", lifespan="off", access_log=False,
            ws_per_message_deflate=False, http=HttpConnection, log_config=None, log_level="warning",
        )  # fmt: skip
        listener = bind("127.0.0.1", 0, "--port", self.settings.limits.stall_timeout_s)
        self._server = server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 (uvicorn offers no event)
            await asyncio.sleep(0.005)
        self.port = listener.getsockname()[1]
        self._started.set()
        await self._stop.wait()
        if face is not self.engine:
            await face.stop(drain_s=0)
        if self.engine_service is not None:
            await self.engine_service.stop(0)
        await self.engine.stop(drain_s=0)
        server.should_exit = True
        await task

    async def _started_engine(self, cloning: Cloning) -> tuple[AnyEngine, AnyCloning]:
        """What the API layers are given."""
        await self.engine.start()
        if not self._behind_gateway:
            return self.engine, cloning
        self.engine_service = EngineService(self.engine, cloning)
        path = self.settings.data_dir / "engine.sock"
        await self.engine_service.start(path)
        remote = RemoteEngine(path, self.metrics)
        await remote.start()
        return remote, remote


@contextmanager
def serving(
    data_dir: Path,
    *,
    limits: Limits | None = None,
    synthesizer: FakeSynthesizer | None = None,
    recognizer: FakeRecognizer | None = None,
    reader: FakeReader | None = None,
    second_recognizer: FakeRecognizer | None = None,
    installed: Mapping[str, ModelKind] = MappingProxyType({}),
    behind_gateway: bool = False,
    **settings: Any,
) -> Iterator[ApiServer]:
    """A server with its own settings for the length of a with block."""
    chosen = Settings(data_dir=data_dir, limits=limits or Limits(), **settings)
    server = ApiServer(
        chosen, synthesizer=synthesizer or FakeSynthesizer(), recognizer=recognizer or FakeRecognizer(),
        reader=reader, second_recognizer=second_recognizer, installed=installed, behind_gateway=behind_gateway,
    )  # fmt: skip
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Socket:
    """A WebSocket of a test that speaks JSON."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def send(self, message: dict[str, Any] | str | bytes) -> None:
        self.connection.send(json.dumps(message) if isinstance(message, dict) else message)

    def receive(self, timeout_s: float = WAIT_S) -> dict[str, Any]:
        text = self.connection.recv(timeout=timeout_s)
        assert isinstance(text, str), "these sockets send text only"
        frame = json.loads(text)
        assert isinstance(frame, dict)
        return frame

    def until(self, *types: str) -> list[dict[str, Any]]:
        """Frames up to and including the first of these types."""
        frames = [self.receive()]
        while frames[-1]["type"] not in types:
            frames.append(self.receive())
        return frames

    def quiet(self, for_s: float = 0.15) -> None:
        """Nothing comes for so long."""
        try:
            frame = self.receive(for_s)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected frame {frame}")


@contextmanager
def opened(server: ApiServer, path: str, version: str = "2026-08-14", **headers: str) -> Iterator[Socket]:
    sent = {"Cartesia-Version": version, **headers}
    with connect(server.ws_url + path, additional_headers=sent, close_timeout=1) as connection:
        yield Socket(connection)
