"""Request bodies: read with a byte limit while they arrive, parsed strictly, checked by a model.

What a handler takes is said where it is declared, by `takes_json` or `takes_form`; `server.api.openapi` reads it there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import wraps
from inspect import get_annotations
from typing import Any, ClassVar, NoReturn, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.types import Message, Receive

from server.api.call import call_of
from server.api.problems import RequestTimeout
from server.errors import InvalidRequest, RequestTooLarge

MAX_JSON_BYTES = 1024 * 1024
"""Room for the longest transcript with every character escaped, many times over."""


class Body(BaseModel):
    """A public JSON object: unknown fields are ignored and null means absent, at every level."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            return {name: value for name, value in values.items() if value is not None}
        return values

    @classmethod
    def check(cls, values: Any) -> Self:
        """Raises InvalidRequest naming the first wrong field."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(str(part) for part in first["loc"]) or "body"
            raise InvalidRequest(f"{name}: {first['msg']}", field=name) from None


class Form(Body):
    """The text fields of a multipart form. Of a field that comes more than once the last counts, unless it is a list."""

    lists: ClassVar[frozenset[str]] = frozenset()
    """Names of the fields that are."""

    @classmethod
    def of(cls, form: FormData) -> Self:
        """Raises InvalidRequest naming the first wrong field."""
        return cls.check({name: form.getlist(name) if name in cls.lists else form[name] for name in form})


@dataclass(frozen=True, slots=True)
class Taken:
    """The kind of body that a handler takes."""

    media_type: str
    model: type[Body] | None
    """None: any JSON object; the handler looks into it."""
    file_field: str | None = None


_Answer = TypeVar("_Answer")
_Handler = Callable[[Request], Awaitable[_Answer]]


def takes_json(handler: Callable[[Request, Any], Awaitable[_Answer]]) -> _Handler[_Answer]:
    """Gives the handler its ``body``, which is of the annotated type: a `Body` or a dict.

    The request raises InvalidRequest, RequestTooLarge and RequestTimeout as `Body.check` and `read_json`.
    """
    wanted = get_annotations(handler)["body"]
    model: type[Body] | None = wanted if isinstance(wanted, type) and issubclass(wanted, Body) else None

    @wraps(handler)
    async def read(request: Request) -> _Answer:
        body = await read_json(request)
        return await handler(request, model.check(body) if model else body)

    _TAKEN[read] = Taken("application/json", model)
    return read


def takes_form(model: type[Form], file_field: str) -> Callable[[_Handler[_Answer]], _Handler[_Answer]]:
    """Says that the handler reads a multipart form with these fields and a file."""

    def note(handler: _Handler[_Answer]) -> _Handler[_Answer]:
        _TAKEN[handler] = Taken("multipart/form-data", model, file_field)
        return handler

    return note


_TAKEN: dict[Callable[..., Any], Taken] = {}


def taken_by(handler: Callable[..., Any]) -> Taken | None:
    """What was declared; None for a handler that takes no body."""
    return _TAKEN.get(handler)


def parse_json(text: str | bytes) -> dict[str, Any]:
    """A JSON object. Raises InvalidRequest for anything else, NaN and infinities included."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"body: is not valid JSON: {error}", field="body") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"body: must be a JSON object, not {type(value).__name__}", field="body")
    return value


async def read_json(request: Request) -> dict[str, Any]:
    """The request's JSON object. Raises RequestTooLarge as soon as the limit is passed, RequestTimeout on a stall."""
    limited = Request(request.scope, limited_receive(request, MAX_JSON_BYTES))
    return parse_json(await limited.body())


def read_form(request: Request, max_bytes: int, max_fields: int) -> AbstractAsyncContextManager[FormData]:
    """The request's multipart form with at most one file, which is closed with the context.

    Raises InvalidRequest for any other kind of body, RequestTooLarge and RequestTimeout as `read_json`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise InvalidRequest(f"body: must be multipart/form-data, but is {media_type or 'of no type'}", field="body")
    return Request(request.scope, limited_receive(request, max_bytes)).form(max_files=1, max_fields=max_fields)


def limited_receive(request: Request, max_bytes: int) -> Receive:
    """``request.receive`` that raises RequestTooLarge once the body is, or claims to be, over the limit, and
    RequestTimeout when nothing of it comes for the stall time."""
    stall_s = call_of(request.scope).services.settings.limits.stall_timeout_s
    claimed = request.headers.get("content-length", "")
    if claimed.isdigit() and int(claimed) > max_bytes:
        _refuse_size(max_bytes)
    seen_bytes = 0

    async def receive() -> Message:
        nonlocal seen_bytes
        try:
            async with asyncio.timeout(stall_s):
                message = await request.receive()
        except TimeoutError:
            raise RequestTimeout(f"body: nothing of it came for {stall_s:g} s", field="body") from None
        seen_bytes += len(message.get("body", b""))
        if seen_bytes > max_bytes:
            _refuse_size(max_bytes)
        return message

    return receive


def _refuse_size(max_bytes: int) -> NoReturn:
    raise RequestTooLarge(f"body: is larger than {max_bytes} bytes, the most that is taken here", field="body")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
