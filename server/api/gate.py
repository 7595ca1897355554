"""The gate every call passes: request id, version, key; and the one place where errors become answers.

Plain ASGI, because it must also see WebSocket handshakes: their failures are
HTTP answers before the 101, which is what clients turn into typed exceptions.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from server.api.auth import OPEN_PATHS, authenticate, hide_query_keys
from server.api.call import Call, attach
from server.api.connection import cut
from server.api.problems import error_response, told_to_client
from server.api.versions import parse_version
from server.engine.limits import Places
from server.services import Services

SOCKETS_PER_SESSION = 10
"""Open sockets per session that may speak or listen at once; the public API allows as many."""

_log = logging.getLogger("descant.api")


class Gate:
    """Middleware around the router."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._default_version = parse_version(services.settings.default_version)
        limits = services.settings.limits
        sessions = limits.max_speech_sessions + limits.max_transcription_sessions
        self._sockets = Places(sessions, limits, "WebSockets", SOCKETS_PER_SESSION)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, str(uuid.uuid4()))
        version = self._default_version
        try:
            received_s = time.perf_counter()
            connection = HTTPConnection(scope)
            version = self._version(connection)
            key_id = "" if scope["path"] in OPEN_PATHS else authenticate(connection, self._services)
            hide_query_keys(scope)
            attach(scope, Call(self._services, answer.request_id, received_s, key_id, version=version))
            with self._counted(scope, key_id):
                await self._app(scope, receive, answer.send)
        except (ClientDisconnect, WebSocketDisconnect, ConnectionError):
            _log.debug("client of request %s went away", answer.request_id)
        except Exception as error:
            await self._fail(error, scope, receive, answer, version)

    @contextmanager
    def _counted(self, scope: Scope, key_id: str) -> Iterator[None]:
        """Bounds the sockets of this server and of each key; an idle one costs a file descriptor and memory."""
        if scope["type"] != "websocket":
            yield
            return
        self._sockets.take(key_id)
        try:
            yield
        finally:
            self._sockets.leave(key_id)

    def _version(self, connection: HTTPConnection) -> date:
        """The query wins over the header. It is read from the raw scope: the address may be rewritten later."""
        query = parse_qs(connection.scope["query_string"].decode("latin-1"))
        given = query.get("cartesia_version", [""])[-1] or connection.headers.get("cartesia-version", "")
        return parse_version(given.strip()) if given.strip() else self._default_version

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, answer: "_Answer", version: date) -> None:
        problem = told_to_client(error)
        if not answer.started:
            await error_response(problem, version, answer.request_id)(scope, receive, answer.send)
            if scope["type"] == "websocket":
                # uvicorn closes the connection on the next turn of the loop, and logs an error if we return before that.
                await asyncio.sleep(0)
            return
        # Nothing can be said any more, but the client is to see that the answer is incomplete.
        _log.warning("request %s failed after its answer began: %s", answer.request_id, problem.message)
        if scope["type"] == "websocket":
            await answer.send({"type": "websocket.close", "code": problem.websocket_close})
        else:
            await cut(scope, receive)


class _Answer:
    """Puts X-Request-Id on whatever opens the answer, and remembers that it was opened."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            self.started = True
            header = (b"x-request-id", self.request_id.encode("ascii"))
            message = {**message, "headers": [*message.get("headers", ()), header]}
        await self._send(message)
