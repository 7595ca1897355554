"""The route table of the public HTTP and WebSocket API."""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from server.api import (
    access_token,
    health,
    openapi,
    pronunciation_dicts,
    stt,
    stt_turns_ws,
    stt_ws,
    tts,
    tts_ws,
    voice_making,
    voices,
)
from server.api.gate import Gate
from server.api.problems import MethodNotAllowed
from server.errors import InvalidRequest, NotFound
from server.services import Services

HttpHandler = Callable[[Request], Awaitable[Any]]
SocketHandler = Callable[[WebSocket], Awaitable[None]]

HTTP_ROUTES: tuple[tuple[str, str, HttpHandler], ...] = (
    ("GET", "/openapi.json", openapi.show_document),
    ("GET", "/docs", openapi.show_page),
    ("GET", "/livez", health.live),
    ("GET", "/readyz", health.ready),
    ("POST", "/access-token", access_token.create_token),
    ("GET", "/voices", voices.list_voices),
    ("POST", "/voices", voice_making.create_voice),
    ("POST", "/voices/clone", voice_making.clone_voice),
    ("POST", "/voices/clone/clip", voice_making.clone_clip),
    ("POST", "/voices/mix", voice_making.mix_voices),
    ("GET", "/voices/{voice_id}", voices.get_voice),
    ("PATCH", "/voices/{voice_id}", voices.update_voice),
    ("DELETE", "/voices/{voice_id}", voices.delete_voice),
    ("GET", "/pronunciation-dicts", pronunciation_dicts.list_dictionaries),
    ("POST", "/pronunciation-dicts", pronunciation_dicts.create_dictionary),
    ("GET", "/pronunciation-dicts/{id}", pronunciation_dicts.get_dictionary),
    ("PATCH", "/pronunciation-dicts/{id}", pronunciation_dicts.update_dictionary),
    ("DELETE", "/pronunciation-dicts/{id}", pronunciation_dicts.delete_dictionary),
    ("POST", "/pronunciation-dicts/{id}/pin", pronunciation_dicts.pin_dictionary),
    ("POST", "/pronunciation-dicts/{id}/unpin", pronunciation_dicts.unpin_dictionary),
    ("POST", "/tts/bytes", tts.speak_bytes),
    ("POST", "/tts/sse", tts.speak_events),
    ("POST", "/stt", stt.transcribe_file),
    ("POST", "/audio/transcriptions", stt.transcribe_openai_file),
    ("POST", "/v1/audio/transcriptions", stt.transcribe_openai_file),
)
SOCKET_ROUTES: tuple[tuple[str, SocketHandler], ...] = (
    ("/tts/websocket", tts_ws.speak_socket),
    ("/stt/websocket", stt_ws.transcribe_socket),
    ("/stt/turns/websocket", stt_turns_ws.turns_socket),
)


def build_app(services: Services) -> Starlette:
    """The ASGI application. The caller starts and stops the engine; no lifespan is needed."""
    app = Starlette(
        routes=_routes(),
        middleware=[*_cors(services), Middleware(Gate, services=services)],
        exception_handlers={HTTPException: _refuse},
    )
    # A redirect loses the body of a POST in some clients, so both spellings are routes of their own.
    app.router.redirect_slashes = False
    app.router.default = _nowhere
    openapi.attach(app)
    return app


def _cors(services: Services) -> list[Middleware]:
    """Outside the gate, because browsers ask before a call, without a key, and must be able to read its errors."""
    origins = services.settings.cors_origins
    if not origins:
        return []
    methods, exposed = sorted({method for method, _, _ in HTTP_ROUTES}), ["X-Request-Id", "Retry-After"]
    return [
        Middleware(CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=["*"], expose_headers=exposed)
    ]


def _routes() -> list[BaseRoute]:
    routes: list[BaseRoute] = [Route("/", health.status, methods=["GET"])]
    for method, path, handler in HTTP_ROUTES:
        routes += [Route(path, handler, methods=[method]), Route(path + "/", handler, methods=[method])]
    for path, socket_handler in SOCKET_ROUTES:
        routes += [WebSocketRoute(path, socket_handler), WebSocketRoute(path + "/", socket_handler)]
    return routes


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    hint = " It is a WebSocket." if scope["type"] == "http" and path in dict(SOCKET_ROUTES) else ""
    raise NotFound(f"There is nothing at {path}.{hint}")


async def _refuse(request: Request, error: Exception) -> NoReturn:
    """The framework's refusals as errors of ours, which the gate puts into the version's shape."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        message = f"{request.method} is not possible on {request.url.path}; accepted methods: {allow}"
        raise MethodNotAllowed(message, allow) from None
    raise InvalidRequest(f"body: {error.detail}", field="body") from None
