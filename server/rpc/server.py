"""The gRPC API layer: services, health and reflection on one port. Translation only."""

import asyncio
import contextlib
from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.config import ConfigError, Settings
from server.pb import speech_pb2, speech_pb2_grpc
from server.rpc.speech import SpeechService
from server.rpc.transcription import TranscriptionService
from server.rpc.voices import VoicesService
from server.services import Services

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""One message of audio in: 2 minutes of 16-bit samples at 16 kHz."""
HEALTH_PERIOD_S = 0.1

_SERVICES = tuple(service.full_name for service in speech_pb2.DESCRIPTOR.services_by_name.values())

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Two servers must not share a port in silence.
    ("grpc.so_reuseport", 0),
    # A client that vanished without a word is found within 80 s, also behind a load balancer.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients may ping this often before the server takes them for an attack.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class GrpcServer:
    """Serves the wire contract. `start` and `stop` run on the engine's event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._health = health.aio.HealthServicer()
        self._server: Any = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; port 0 picks a free one. Gives the bound port. Raises ConfigError when it is taken."""
        limits = self._services.settings.limits
        sessions = limits.max_speech_sessions + limits.max_transcription_sessions + limits.max_queued_sessions
        # The engine refuses sessions with a reason; this bound only keeps everything else from piling up.
        server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=4 * sessions)
        speech_pb2_grpc.add_SpeechServicer_to_server(SpeechService(self._services), server)  # type: ignore[no-untyped-call]
        speech_pb2_grpc.add_TranscriptionServicer_to_server(TranscriptionService(self._services), server)  # type: ignore[no-untyped-call]
        speech_pb2_grpc.add_VoicesServicer_to_server(VoicesService(self._services), server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        credentials = _credentials(self._services.settings)
        try:
            bound_port: int = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        except RuntimeError:
            raise ConfigError(f"cannot listen on {address}; choose another port with --grpc-port") from None
        await self._show_health()
        await server.start()
        self._server = server
        self._watch = asyncio.create_task(self._watch_health(), name="gRPC health")
        return bound_port

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, give running ones ``grace_s`` seconds, then end them."""
        if self._server is None:
            return
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
        self._server = None

    async def _watch_health(self) -> None:
        shown = None
        while True:
            if self._services.engine.ready != shown:
                shown = self._services.engine.ready
                await self._show_health()
            await asyncio.sleep(HEALTH_PERIOD_S)

    async def _show_health(self) -> None:
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if self._services.engine.ready
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for service in ("", *_SERVICES):
            await self._health.set(service, status)


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Those of HTTPS; None where TLS is off."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return grpc.ssl_server_credentials([(settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())])
