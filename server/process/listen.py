"""Where the server listens: what is checked before the models are loaded, and the sockets."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from server.config import ConfigError, Settings
from server.storage.keys import KeyStore

if TYPE_CHECKING:
    import uvicorn

    from server.services import Services

UNSENT_BYTES = 16 * 1024
"""What the kernel takes for a client beyond what is on its way, before it asks for no more: a quarter of a second of
audio, or more."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest WebSocket message taken: two minutes of 16 kHz PCM, more than any client sends at once."""


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


def http_socket(settings: Settings) -> socket.socket:
    if settings.listen_fd >= 0:
        return socket.socket(fileno=settings.listen_fd)
    return bind(settings.host, settings.port, "--port", settings.limits.stall_timeout_s)


def http_server(services: "Services") -> "uvicorn.Server":
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
            # The answer to a ping waits behind the audio of a client that sends faster than it is recognized: such clients were
            # closed with 1011 after 40 s. One that is gone is ended by our own limits of idle and of stalled sockets.
            ws_ping_timeout=None,
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


def listen_for_metrics(services: "Services") -> int | None:
    """A gateway that was given its socket shows its metrics on the page of the engine."""
    from server.metrics import serve_metrics

    settings = services.settings
    if settings.metrics_port < 0 or settings.listen_fd >= 0:
        return None
    return serve_metrics(services.metrics, settings.host, settings.metrics_port)
