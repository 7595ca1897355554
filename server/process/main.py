"""Composition root: settings in, a running server out. Nothing else joins parts.

Cheap checks come before expensive imports: a typing error in a setting or a
missing key stops the start in well under a second, without loading torch.
"""

import asyncio
import contextlib
import gc
import logging
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from server.config import ConfigError, Settings
from server.requests.model_ids import build_catalog
from server.storage.keys import KeyStore

if TYPE_CHECKING:
    import uvicorn

    from models.hearing import Recognizer
    from models.speech import Synthesizer
    from server.engine.interface import AnyEngine
    from server.services import Services
    from server.storage.own_voices import OwnVoices

log = logging.getLogger("descant")

MAX_BATCH_WINDOWS = 16
MAX_BATCH_WINDOWS_ON_A_CARD = 64
"""A card has room for them; not measured yet. What a step takes bounds the batch sooner (`choose_jobs`)."""
UNSENT_BYTES = 16 * 1024
"""What the kernel takes for a client beyond what is on its way, before it asks for no more: a quarter of a second of
audio, or more."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest WebSocket message taken: two minutes of 16 kHz PCM, more than any client sends at once."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a started server answers; a port of None is turned off."""

    services: "Services"
    http_port: int | None
    grpc_port: int | None
    metrics_port: int | None


def key_store(settings: Settings) -> KeyStore:
    return KeyStore(settings.data_dir / "keys.json")


def own_voices(settings: Settings) -> "OwnVoices":
    from server.storage.own_voices import OwnVoices

    return OwnVoices(settings.data_dir / "voices", settings.speech_model)


def trained_voices(settings: Settings) -> list[Path]:
    """Files of voices that were made from recordings (`training.voice.adapt`), in a stable order."""
    return sorted((settings.data_dir / "trained-voices").glob("*.safetensors"))


def load_speech(settings: Settings, device: str, max_slots: int) -> "Synthesizer":
    """The speech model with the voices made from recordings. Raises ConfigError for a file that cannot be used."""
    from models.registry import load_synthesizer
    from models.weights import WeightsError

    try:
        return load_synthesizer(settings.speech_model, device, max_slots, trained_voices(settings), settings.cuda_graphs)
    except WeightsError as error:
        raise ConfigError(str(error)) from None


def load_ears(settings: Settings, device: str) -> "Recognizer":
    """Raises ConfigError for a checkpoint that cannot be used."""
    from models.registry import load_recognizer

    try:
        windows = MAX_BATCH_WINDOWS if device == "cpu" else MAX_BATCH_WINDOWS_ON_A_CARD
        return load_recognizer(settings.recognition_model, device, windows, settings.recognition_folder)
    except (ValueError, OSError) as error:
        if settings.recognition_folder is None:
            raise
        raise ConfigError(f"recognition_folder: {error}") from None


def check_exposure(settings: Settings, keys: KeyStore) -> None:
    """Refuse to listen beyond loopback while nobody needs a key. Raises ConfigError with the way out."""
    if not settings.is_loopback and not keys.list():
        raise ConfigError(
            f"refusing to listen on {settings.host} without API keys: anyone who reaches the port could use the server. "
            "Create one with `descant keys create NAME`, or listen on 127.0.0.1."
        )


def check_ports(settings: Settings) -> None:
    """Find ports that are taken before the models are loaded. Raises ConfigError naming the flag."""
    ports = {"--metrics-port": settings.metrics_port}
    if settings.role != "gateway":
        ports["--grpc-port"] = settings.grpc_port
    if settings.role != "engine":
        ports["--port"] = settings.port
    if settings.listen_fd >= 0:
        ports = {}
    for flag, port in ports.items():
        if port > 0:
            bind(settings.host, port, flag).close()


def choose_device(wanted: str) -> str:
    """Turn ``auto`` into a device; raises ConfigError when a named one is not there."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda"):
        index = int(wanted.partition(":")[2] or 0)
        if not torch.cuda.is_available() or index >= torch.cuda.device_count():
            raise ConfigError(
                f"device: {wanted} is not available (torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices). "
                "Use --device cpu, or run `descant doctor` to see what is missing."
            )
    return wanted


def build(settings: Settings) -> "Services":
    """Load the models and join all parts; nothing listens and no thread runs yet."""
    keys = key_store(settings)
    check_exposure(settings, keys)
    import torch

    from models.registry import load_cloner
    from models.silero_vad import SileroDetector
    from server.engine.engine import Engine
    from server.engine.speech.cloning import Cloning
    from server.metrics import Metrics
    from server.process.cpu_threads import measured_threads
    from server.services import Services
    from server.storage.pronunciations import PronunciationStore
    from server.storage.voices import VoiceStore
    from server.text.frontend import TextFrontEnd

    device = choose_device(settings.device)
    torch.set_num_threads(settings.threads or 1)
    limits = settings.limits
    synthesizer = load_speech(settings, device, limits.max_speech_sessions)
    if settings.threads == 0 and device == "cpu":
        settings = settings.model_copy(update={"threads": measured_threads(synthesizer, torch.set_num_threads)})
    recognizer = load_ears(settings, device)
    metrics, detector = Metrics(), SileroDetector()
    front_end = TextFrontEnd({voice.tongue for voice in synthesizer.info.voices})
    engine = Engine(
        synthesizers={settings.speech_model: synthesizer},
        recognizers={settings.recognition_model: recognizer},
        detector=detector,
        front_end=front_end,
        limits=limits,
        metrics=metrics,
    )
    catalog = build_catalog(settings.speech_model, settings.recognition_model, settings.model_ids)
    voices = VoiceStore(synthesizer.info.voices, own_voices(settings))
    cloning = Cloning(partial(load_cloner, settings.speech_model), detector, front_end)
    pronunciations = PronunciationStore(settings.data_dir / "pronunciations")
    return Services(engine, voices, catalog, keys, settings, metrics, pronunciations, cloning)


async def build_gateway(settings: Settings) -> "Services":
    """Wait for the engine at the other end of the socket, and join all parts that are not in it."""
    keys = key_store(settings)
    check_exposure(settings, keys)
    from server.gateways.remote import RemoteEngine
    from server.metrics import Metrics
    from server.services import Services
    from server.storage.pronunciations import PronunciationStore
    from server.storage.voices import VoiceStore

    assert settings.engine_socket is not None
    metrics = Metrics()
    engine = RemoteEngine(settings.engine_socket, metrics)
    await engine.start()
    voices = VoiceStore(engine.voices, own_voices(settings))
    catalog = build_catalog(settings.speech_model, settings.recognition_model, settings.model_ids)
    pronunciations = PronunciationStore(settings.data_dir / "pronunciations")
    return Services(engine, voices, catalog, keys, settings, metrics, pronunciations, engine)


@contextlib.asynccontextmanager
async def running_engine(services: "Services") -> AsyncIterator["AnyEngine"]:
    """The engine alone, for commands that need no listening server."""
    await services.engine.start()
    try:
        yield services.engine
    finally:
        await services.engine.stop(drain_s=0)


async def serve(services: "Services", announce: Callable[[Listening], None]) -> None:
    """Listen until SIGTERM or SIGINT, then drain. A second signal ends at once."""
    if services.settings.role == "engine":
        await _serve_engine(services, announce)
        return
    from server.rpc.server import GrpcServer

    settings, engine = services.settings, services.engine
    http_socket = _http_socket(settings)
    server = _http_server(services)
    grpc = GrpcServer(services) if settings.grpc_port >= 0 and settings.role == "all" else None
    metrics_port = _serve_metrics(services)
    await engine.start()
    grpc_port = await grpc.start(settings.host, settings.grpc_port) if grpc else None
    keep_for_good()
    stop = _stop_on_signals(settings, server)
    listener = asyncio.create_task(server.serve(sockets=[http_socket]))
    # From here the kernel takes connections and keeps them until the server accepts, a moment later.
    http_socket.listen(2048)
    if not stop.is_set():
        announce(Listening(services, http_socket.getsockname()[1], grpc_port, metrics_port))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, listener}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await engine.stop(settings.limits.drain_s)
    if grpc:
        await grpc.stop(grace_s=1.0)
    server.should_exit = True
    await listener


async def _serve_engine(services: "Services", announce: Callable[[Listening], None]) -> None:
    """The models for gateways, and the public gRPC service."""
    from server.engine.engine import Engine
    from server.gateways.engine_service import EngineService
    from server.rpc.server import GrpcServer

    settings, engine = services.settings, services.engine
    assert isinstance(engine, Engine)
    assert settings.engine_socket is not None
    grpc = GrpcServer(services) if settings.grpc_port >= 0 else None
    inner = EngineService(engine, services.cloning)
    metrics_port = _serve_metrics(services)
    await engine.start()
    await inner.start(settings.engine_socket)
    grpc_port = await grpc.start(settings.host, settings.grpc_port) if grpc else None
    keep_for_good()
    stop = _stop_on_signals(settings, None)
    if not stop.is_set():
        announce(Listening(services, None, grpc_port, metrics_port))
    await stop.wait()
    await engine.stop(settings.limits.drain_s)
    if grpc:
        await grpc.stop(grace_s=1.0)
    await inner.stop(grace_s=1.0)


def keep_for_good() -> None:
    """Garbage collections leave out all that was loaded by now. Each full one went through 295 000 objects, 140 ms in
    which nobody was served; now it takes less than a millisecond, beside what came since."""
    gc.collect()
    gc.freeze()


def _serve_metrics(services: "Services") -> int | None:
    """A gateway that was given its socket shows its metrics on the page of the engine."""
    from server.metrics import serve_metrics

    settings = services.settings
    if settings.metrics_port < 0 or settings.listen_fd >= 0:
        return None
    return serve_metrics(services.metrics, settings.host, settings.metrics_port)


def _http_socket(settings: Settings) -> socket.socket:
    if settings.listen_fd >= 0:
        return socket.socket(fileno=settings.listen_fd)
    return bind(settings.host, settings.port, "--port", settings.limits.stall_timeout_s)


def _http_server(services: "Services") -> "uvicorn.Server":
    import uvicorn

    from server.api.app import build_app
    from server.api.connection import HttpConnection

    settings = services.settings

    class HttpServer(uvicorn.Server):
        """Leaves signals to us: uvicorn's own handling would cut streams before they are drained."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return HttpServer(
        uvicorn.Config(
            build_app(services),
            ws="websockets-sansio",
            # Deflating 100 ms of base64 audio took 1.6 ms of the event loop and saved a quarter.
            ws_per_message_deflate=False,
            ws_max_size=MAX_MESSAGE_BYTES,
            loop="uvloop",
            http=HttpConnection,
            lifespan="off",
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            access_log=False,
            log_level="debug" if settings.log_level == "debug" else "warning",
            timeout_graceful_shutdown=5,
            server_header=False,
        )
    )


def _stop_on_signals(settings: Settings, server: "uvicorn.Server | None") -> asyncio.Event:
    """Set by a signal, and by the end of the process that started this one, if that gave it a pipe."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def handle() -> None:
        if stop.is_set() and server is not None:
            server.force_exit = True
        stop.set()

    def orphaned() -> None:
        loop.remove_reader(settings.parent_fd)
        log.warning("the process that started this one is gone; stopping")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handle)
    if settings.parent_fd >= 0:
        loop.add_reader(settings.parent_fd, orphaned)
        if select.select([settings.parent_fd], [], [], 0)[0]:  # while the models were loaded
            orphaned()
    return stop


def bind(host: str, port: int, flag: str, stall_s: float = 0.0) -> socket.socket:
    """A socket to listen on. Raises ConfigError naming the flag. What is accepted on it is cut off by the kernel, with
    all that is unsent, when its client took nothing for three times ``stall_s``; 0 leaves that alone."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off on what is accepted (bpo-27456). Without it the
    # second piece of an answer waited for the client's delayed acknowledgement: 44 ms on loopback instead of 1.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Else the kernel takes 3 to 4 MB for a client that does not read, half a minute of audio: made for nobody, it held
        # up others, and was heard after a cancel. What is on its way to a client that reads is not bounded by this.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    if stall_s and sys.platform == "linux":
        # The server's own closing waits until what is unsent was taken, so for ever where nobody reads.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(3000 * stall_s))
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with {flag}") from None
    return listener
