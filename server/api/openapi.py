"""``GET /openapi.json`` and ``GET /docs``: what this server answers, read from its routes and from the models of their bodies.

The document is OpenAPI 3.1, which knows no WebSockets: they are shown as the GET request that opens them, marked
``x-websocket``. The page needs nothing but itself.
"""

import html
import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute

from server.api.auth import OPEN_PATHS, QUERY_CARRIERS
from server.api.body import Body, Taken, taken_by
from server.api.listening_params import ConfigBody
from server.api.problems import error_response
from server.api.query import AnyParameter, QueryParameter, query_of
from server.api.schemas import SpeechBody
from server.api.versions import NEWEST
from server.errors import InvalidRequest

_SCHEMAS = "#/components/schemas/"
_MESSAGES: dict[str, type[Body]] = {"/tts/websocket": SpeechBody, "/stt/turns/websocket": ConfigBody}
"""The models of JSON that clients send on sockets; on the others commands are bare words."""
_SECURITY = {
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}

_HANDSHAKE = (
    *(QueryParameter(name, "For browsers, which cannot set headers on sockets.") for name in QUERY_CARRIERS),
    QueryParameter("cartesia_version", "In place of the header.", {"type": "string", "format": "date"}),
)

_ROUTE_NAME = re.compile(r"^(?:[A-Z]+ )?/\S*: ")
"""What a docstring that names its own route begins with."""

Json = dict[str, Any]


def attach(app: Starlette) -> None:
    """Describe the application once: it takes 8 ms, and streams would wait for it on the event loop."""
    app.state.api_document = document(app.routes)
    app.state.api_page = _page(app.state.api_document)


async def show_document(request: Request) -> JSONResponse:
    """This description, for programs."""
    return JSONResponse(request.app.state.api_document)


async def show_page(request: Request) -> HTMLResponse:
    """This description, for people."""
    return HTMLResponse(request.app.state.api_page)


def document(routes: Sequence[BaseRoute]) -> Json:
    """The OpenAPI document of an application's routes. A path that is there with and without a last slash is one."""
    shown = [route for route in routes if isinstance(route, Route | WebSocketRoute) and not _is_twin(route.path)]
    paths: dict[str, Json] = {}
    for route in shown:
        path = paths.setdefault(route.path, _parameters(route.path))
        if isinstance(route, Route):
            path.update({method.lower(): _operation(route) for method in sorted((route.methods or set()) - {"HEAD"})})
        else:
            path["get"] = _socket(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Descant", "version": version("descant"), "summary": "Self-hosted speech, in Cartesia's API."},
        "paths": paths,
        "components": {"schemas": _schemas(shown), "securitySchemes": _SECURITY},
        "security": [{}, *({name: []} for name in _SECURITY)],
    }


def _is_twin(path: str) -> bool:
    return path.endswith("/") and path != "/"


def _parameters(path: str) -> Json:
    named = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"{(\w+)}", path)
    ]
    dated = {"type": "string", "format": "date", "default": str(NEWEST)}
    return {"parameters": [*named, {"name": "Cartesia-Version", "in": "header", "schema": dated}]}


def _operation(route: Route) -> Json:
    taken = taken_by(route.endpoint)
    operation = _described(route.path, route.endpoint, {"2XX": _answer(route.endpoint)})
    operation["parameters"] = [_parameter(parameter) for parameter in query_of(route.endpoint)]
    return operation if taken is None else {**operation, "requestBody": _body(taken)}


def _parameter(parameter: AnyParameter) -> Json:
    schema = {"schema": dict(parameter.schema), "description": parameter.meaning}
    return {"name": parameter.name, "in": "query", "required": parameter.is_required, **schema}


def _socket(route: WebSocketRoute) -> Json:
    operation = _described(route.path, route.endpoint, {"101": {"description": "The WebSocket is open."}})
    operation["parameters"] = [_parameter(parameter) for parameter in (*query_of(route.endpoint), *_HANDSHAKE)]
    message = _MESSAGES.get(route.path)
    return {**operation, "x-websocket": True, **({"x-message": _reference(message)} if message else {})}


def _described(path: str, endpoint: Callable[..., Any], responses: Json) -> Json:
    """Summary and description are the handler's docstring, or its module's where a module is one handler's."""
    text = inspect.getdoc(endpoint) or inspect.getdoc(inspect.getmodule(endpoint)) or ""
    summary, _, description = _ROUTE_NAME.sub("", _without_marks(text)).partition("\n\n")
    refused = {"description": "Refused.", "content": {"application/json": {"schema": {"$ref": _SCHEMAS + "Error"}}}}
    operation = {
        "summary": _sentence(summary),
        "description": description,
        "responses": {**responses, **({} if path in OPEN_PATHS else {"default": refused})},
    }
    return {**operation, "security": []} if path in OPEN_PATHS else operation


def _sentence(text: str) -> str:
    return " ".join((text[:1].upper() + text[1:]).split())


def _without_marks(text: str) -> str:
    return text.replace("``", "").replace("`", "")


def _answer(endpoint: Callable[..., Any]) -> Json:
    media_type = getattr(inspect.get_annotations(endpoint).get("return"), "media_type", None)
    return {"description": "Answered.", **({"content": {media_type: {}}} if media_type else {})}


def _body(taken: Taken) -> Json:
    schema = {"type": "object"} if taken.model is None else _reference(taken.model)
    if taken.file_field is not None:
        file: Json = {"contentMediaType": "application/octet-stream"}
        with_file = {"type": "object", "properties": {taken.file_field: file}, "required": [taken.file_field]}
        schema = {"allOf": [schema, with_file]}
    return {"required": True, "content": {taken.media_type: {"schema": schema}}}


def _reference(model: type[Body]) -> Json:
    return {"$ref": _SCHEMAS + model.__name__}


def _schemas(routes: Sequence[Route | WebSocketRoute]) -> Json:
    taken = (taken_by(route.endpoint) for route in routes if isinstance(route, Route))
    models = {one.model for one in taken if one is not None and one.model is not None}
    models |= {_MESSAGES[route.path] for route in routes if route.path in _MESSAGES}
    named = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in named], ref_template=_SCHEMAS + "{model}")
    return {**schemas["$defs"], "Error": _error_schema()}


def _error_schema() -> Json:
    """Of the body that an error has today."""
    body = json.loads(bytes(error_response(InvalidRequest(""), NEWEST, "").body))
    types = {str: "string", type(None): ["string", "null"]}
    properties = {name: {"type": types[type(value)]} for name, value in body.items()}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _page(described: Json) -> str:
    """One section for each operation, with the fields of what it takes."""
    info = described["info"]
    sections = "".join(_section(*operation, described) for operation in _operations(described))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{info['title']}</title><style>{_STYLE}</style>"
        f"<h1>{info['title']} {info['version']}</h1><p>{info['summary']} For programs: "
        f'<a href="openapi.json">openapi.json</a>.</p>{sections}</html>'
    )


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h2{font:bold 1rem monospace;margin:2rem 0 0;border-top:1px solid #ccc;padding-top:1rem}"
    "p{margin:.3rem 0;white-space:pre-line}td{padding:0 1.5rem .2rem 0;vertical-align:top}td:first-child{font-family:monospace}"
)


def _operations(described: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method.upper(), path, operation


def _section(method: str, path: str, operation: Json, described: Json) -> str:
    kind = "WebSocket" if operation.get("x-websocket") else method
    taken = operation.get("requestBody", {"content": {}})["content"]
    schemas = [operation["x-message"]] if "x-message" in operation else [media["schema"] for media in taken.values()]
    rows = "".join(_query_row(parameter) for parameter in operation["parameters"])
    rows += "".join(_row(*field, described) for schema in schemas for field in _fields(schema, described))
    text = html.escape(f"{operation['summary']}\n{operation['description']}".strip())
    takes = f"<p>Takes {html.escape(', '.join(taken))}</p>" if taken else ""
    return f"<h2>{kind} {html.escape(path)}</h2><p>{text}</p>{takes}<table>{rows}</table>"


def _query_row(parameter: Json) -> str:
    schema = parameter["schema"]
    accepted = schema.get("enum") or schema.get("items", {}).get("enum", ())
    span = f"{schema['minimum']:g} to {schema['maximum']:g}" if "minimum" in schema else ", ".join(accepted)
    text = ". ".join(part for part in (parameter["description"].rstrip("."), span) if part)
    kind = f"query, {schema['type']}" + (", required" if parameter["required"] else "")
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (parameter["name"], kind, text)) + "</tr>"


def _fields(schema: Json, described: Json) -> Iterator[tuple[str, Json]]:
    """The fields of an object, those of what it refers to and of its parts included."""
    whole = _resolved(schema, described)
    for part in whole.get("allOf", ()):
        yield from _fields(part, described)
    yield from whole.get("properties", {}).items()


def _resolved(schema: Json, described: Json) -> Json:
    name = schema.get("$ref", "").removeprefix(_SCHEMAS)
    found: Json = described["components"]["schemas"][name] if name else schema
    return found


def _row(name: str, schema: Json, described: Json) -> str:
    forms = [_resolved(form, described) for form in schema.get("anyOf", [schema]) if form.get("type") != "null"]
    types = " or ".join("file" if "contentMediaType" in form else form.get("type", "any") for form in forms)
    text = _without_marks(schema.get("description", ""))
    inner = ", ".join(field for form in forms for field in form.get("properties", {}))
    cells = (name, types, text or (f"with {inner}" if inner else ""))
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
