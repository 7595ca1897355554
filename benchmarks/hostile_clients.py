"""Clients that do what no client should, on plain sockets: never read, never write, half-close, die.

Each function connects, misbehaves, and gives the socket, which its caller keeps open
for as long as the client is to live. They speak to plain HTTP only.
"""

import json
import os
import random
import socket
import struct
import time
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from benchmarks.measured_server import MeasuredServer
from server.bench.texts import TEXTS

RECEIVE_BUFFER_BYTES = 4096
"""So that what is unread soon lies at the server."""
CONNECT_TIMEOUT_S = 60.0
DIES_WITHIN_S = 0.5
LONG_TEXT = " ".join(TEXTS * 20)
"""Twenty minutes of speech: more than all buffers hold."""
EARS = {"model": "ink-whisper", "encoding": "pcm_s16le", "sample_rate": "16000", "language": "en"}

_TEXT, _BINARY = 0x1, 0x2

Way = Callable[[MeasuredServer], socket.socket]


def connected(server: MeasuredServer) -> socket.socket:
    client = socket.socket(socket.AF_INET6 if ":" in server.target.host else socket.AF_INET)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    client.settimeout(CONNECT_TIMEOUT_S)
    client.connect(server.address)
    return client


def post(server: MeasuredServer, path: str, text: str) -> bytes:
    """A whole request for speech."""
    body = json.dumps(server.speech(text, sample_rate_hz=48_000)).encode()
    return _head(server, f"POST {path}", f"Content-Length: {len(body)}") + body


def frame(kind: int, payload: bytes) -> bytes:
    """One message as a client frames it (RFC 6455, 5.2), masked with zeros, which leaves it as it is."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = struct.pack(">BH", 0x80 | 126, size) if size < 1 << 16 else struct.pack(">BQ", 0x80 | 127, size)
    return bytes([0x80 | kind]) + length + bytes(4) + payload


def _head(server: MeasuredServer, request: str, *fields: str) -> bytes:
    lines = (
        f"{request} HTTP/1.1", f"Host: {urlsplit(server.target.url).netloc}", f"X-API-Key: {server.target.key}",
        f"Cartesia-Version: {server.target.version}", *fields,
    )  # fmt: skip
    return "\r\n".join((*lines, "", "")).encode()


def _websocket(server: MeasuredServer, path: str) -> socket.socket:
    """Raises ConnectionError where the handshake is refused."""
    client = connected(server)
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    client.sendall(_head(server, f"GET {path}", *upgrade, "Sec-WebSocket-Key: ZGVzY2FudC1kZXNjYW50LQ=="))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = client.recv(1024)
        if not piece:
            raise ConnectionError(f"{path}: the server closed in the handshake")
        answer += piece
    if b" 101 " not in answer.partition(b"\r\n")[0]:
        raise ConnectionError(f"{path}: {answer[:200]!r}")
    return client


def _audio_asked(server: MeasuredServer) -> socket.socket:
    client = connected(server)
    client.sendall(post(server, "/tts/bytes", LONG_TEXT))
    return client


def _events_asked(server: MeasuredServer) -> socket.socket:
    client = connected(server)
    client.sendall(post(server, "/tts/sse", LONG_TEXT))
    return client


def _context_asked(server: MeasuredServer) -> socket.socket:
    client = _websocket(server, "/tts/websocket")
    client.sendall(frame(_TEXT, json.dumps(server.speech(LONG_TEXT, "unread")).encode()))
    return client


def _transcript_asked(server: MeasuredServer) -> socket.socket:
    client = _ears_idle(server)
    client.sendall(frame(_BINARY, os.urandom(2 * 16_000)) + frame(_TEXT, b"finalize"))
    return client


def _half_a_request(server: MeasuredServer) -> socket.socket:
    client = connected(server)
    client.sendall(post(server, "/tts/bytes", LONG_TEXT)[:200])
    return client


def _socket_idle(server: MeasuredServer) -> socket.socket:
    return _websocket(server, "/tts/websocket")


def _context_idle(server: MeasuredServer) -> socket.socket:
    """Says one sentence, promises more, and is silent."""
    client = _websocket(server, "/tts/websocket")
    client.sendall(frame(_TEXT, json.dumps({**server.speech(TEXTS[2], "idle"), "continue": True}).encode()))
    return client


def _ears_idle(server: MeasuredServer) -> socket.socket:
    return _websocket(server, f"/stt/websocket?{urlencode(EARS)}")


_ASKING: tuple[Way, ...] = (_audio_asked, _events_asked, _context_asked, _transcript_asked)
_SILENT: tuple[Way, ...] = (connected, _half_a_request, _socket_idle, _context_idle, _ears_idle)


def never_read(server: MeasuredServer, number: int) -> socket.socket:
    return _ASKING[number % len(_ASKING)](server)


def never_write(server: MeasuredServer, number: int) -> socket.socket:
    return _SILENT[number % len(_SILENT)](server)


def half_close(server: MeasuredServer, number: int) -> socket.socket:
    client = never_read(server, number)
    client.shutdown(socket.SHUT_WR)
    return client


def die(server: MeasuredServer, number: int) -> socket.socket:
    """At a random moment of the answer, by a reset, as when a process is killed or a cable is cut."""
    client = never_read(server, number)
    time.sleep(random.Random(number).uniform(0.0, DIES_WITHIN_S))
    reset(client)
    return client


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


MISDEEDS = (never_read, never_write, half_close, die)
