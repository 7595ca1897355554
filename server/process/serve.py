"""A running server: from joined parts to answers, and back down in order."""

import asyncio
import contextlib
import gc
import logging
import select
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.config import Settings
from server.process.listen import http_server, http_socket, listen_for_metrics

if TYPE_CHECKING:
    import uvicorn

    from server.engine.interface import AnyEngine
    from server.services import Services

log = logging.getLogger("descant")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a started server answers; a port of None is turned off."""

    services: "Services"
    http_port: int | None
    grpc_port: int | None
    metrics_port: int | None


@contextlib.asynccontextmanager
async def running_engine(engine: "AnyEngine") -> AsyncIterator[None]:
    """The engine alone, for commands that need no listening server."""
    await engine.start()
    try:
        yield
    finally:
        await engine.stop(drain_s=0)


async def serve(services: "Services", announce: Callable[[Listening], None]) -> None:
    """Listen until SIGTERM or SIGINT, then drain. A second signal ends at once."""
    if services.settings.role == "engine":
        await _serve_engine(services, announce)
        return
    from server.rpc.server import GrpcServer

    settings, engine = services.settings, services.engine
    accepting = http_socket(settings)
    server = http_server(services)
    grpc = GrpcServer(services) if settings.grpc_port >= 0 and settings.role == "all" else None
    metrics_port = listen_for_metrics(services)
    await engine.start()
    grpc_port = await grpc.start(settings.host, settings.grpc_port) if grpc else None
    keep_for_good()
    stop = _stop_on_signals(settings, server)
    listener = asyncio.create_task(server.serve(sockets=[accepting]))
    # From here the kernel takes connections and keeps them until the server accepts, a moment later.
    accepting.listen(2048)
    if not stop.is_set():
        announce(Listening(services, accepting.getsockname()[1], grpc_port, metrics_port))
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
    metrics_port = listen_for_metrics(services)
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
