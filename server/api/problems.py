"""Errors in the shapes clients of each version understand: HTTP bodies and socket or SSE events."""

import logging
import math
from datetime import date
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from server.api.versions import has_structured_error_events, has_structured_errors
from server.errors import DescantError, InternalError

_log = logging.getLogger("descant.api")


class MethodNotAllowed(DescantError):
    """Exists on HTTP only, hence not in the table of `server.errors`."""

    http_status = 405
    title = "Method not allowed"

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(DescantError):
    """The client stopped in the middle of its request; HTTP only, as above."""

    http_status = 408
    title = "Request timeout"


def told_to_client(error: Exception) -> DescantError:
    """The error as a client may see it; the details of anything unforeseen go to the log only."""
    if isinstance(error, DescantError):
        return error
    _log.error("unforeseen failure", exc_info=error)
    return InternalError("Something went wrong in the server; its log has the details under this request id.")


def error_response(error: DescantError, version: date, request_id: str) -> Response:
    """The HTTP answer: a JSON object since 2026-03-01, the text ``Title: Message`` before."""
    headers = _headers(error)
    if not has_structured_errors(version):
        return PlainTextResponse(_joined(error), error.http_status, headers)
    body = {"error_code": error.error_code, "title": error.title, "message": error.message, "request_id": request_id}
    return JSONResponse(body, error.http_status, headers)


def speech_error_event(error: DescantError, version: date, request_id: str) -> dict[str, Any]:
    """The event that ends one context or SSE stream; the caller adds ``context_id``.

    Versions before 2025-11-04 get the union of both shapes, because their SDKs
    require ``error`` while newer clients on old versions print the rest.
    """
    event: dict[str, Any] = {
        "type": "error",
        "done": True,
        "status_code": error.http_status,
        "error_code": error.error_code,
        "title": error.title,
        "message": error.message,
        "request_id": request_id,
    }
    if not has_structured_error_events(version):
        event["error"] = _joined(error)
    return event


def transcription_error_event(error: DescantError, request_id: str) -> dict[str, Any]:
    """The event on both transcription sockets.

    ``code`` repeats the status: LiveKit reads only that and takes its absence for
    a failure worth endless reconnects.
    """
    return {
        "type": "error",
        "title": error.title,
        "message": error.message,
        "error_code": error.error_code,
        "status_code": error.http_status,
        "code": error.http_status,
        "request_id": request_id,
    }


def _joined(error: DescantError) -> str:
    return f"{error.title}: {error.message}"


def _headers(error: DescantError) -> dict[str, str]:
    headers = {}
    if error.http_status in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s or 1.0)))
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allow
    return headers
