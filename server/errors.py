"""Errors as types. Each class is one row of the table that every API layer translates by.

=================  ====  ====================  =====================
class              HTTP  gRPC                  Cartesia ``error_code``
=================  ====  ====================  =====================
InvalidRequest      400  INVALID_ARGUMENT      (none)
ModelNotFound       400  NOT_FOUND             model_not_found
Unauthorized        401  UNAUTHENTICATED       (none)
Forbidden           403  PERMISSION_DENIED     (none)
VoiceNotFound       404  NOT_FOUND             voice_not_found
NotFound            404  NOT_FOUND             (none)
RequestTooLarge     413  INVALID_ARGUMENT      (none)
UnsupportedMedia    415  INVALID_ARGUMENT      (none)
Busy                429  RESOURCE_EXHAUSTED    concurrency_limited
InternalError       500  INTERNAL              (none)
ModelUnavailable    503  UNAVAILABLE           (none)
ShuttingDown        503  UNAVAILABLE           (none)
DeadlineExceeded    504  DEADLINE_EXCEEDED     (none)
=================  ====  ====================  =====================

WebSockets get an error event with the same numbers; a socket that must
end closes with ``websocket_close``. gRPC codes are names, so that this module
needs no gRPC.
"""

from collections.abc import Iterable
from typing import ClassVar


class DescantError(Exception):
    """Base of everything a client may be told."""

    http_status: ClassVar[int] = 500
    grpc_code: ClassVar[str] = "INTERNAL"
    websocket_close: ClassVar[int] = 1011
    error_code: ClassVar[str | None] = None
    title: ClassVar[str] = "Internal error"

    def __init__(self, message: str, *, field: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        """The request field that is wrong, if one is."""
        self.retry_after_s = retry_after_s


class InvalidRequest(DescantError):
    http_status = 400
    grpc_code = "INVALID_ARGUMENT"
    websocket_close = 1000
    title = "Invalid request"

    @classmethod
    def choice(cls, field: str, value: object, accepted: Iterable[object]) -> "InvalidRequest":
        """The error for a value outside a closed list: names the field and lists what it takes."""
        listed = ", ".join(str(item) for item in accepted)
        return cls(f"{field}: {value!r} is not supported; accepted values: {listed}", field=field)


class ModelNotFound(InvalidRequest):
    grpc_code = "NOT_FOUND"
    error_code = "model_not_found"
    title = "Model not found"


class Unauthorized(DescantError):
    http_status = 401
    grpc_code = "UNAUTHENTICATED"
    websocket_close = 1000
    title = "Unauthorized"


class Forbidden(DescantError):
    http_status = 403
    grpc_code = "PERMISSION_DENIED"
    websocket_close = 1000
    title = "Forbidden"


class NotFound(DescantError):
    http_status = 404
    grpc_code = "NOT_FOUND"
    websocket_close = 1000
    title = "Not found"


class VoiceNotFound(NotFound):
    error_code = "voice_not_found"
    title = "Voice not found"


class RequestTooLarge(DescantError):
    http_status = 413
    grpc_code = "INVALID_ARGUMENT"
    websocket_close = 1000
    title = "Request too large"


class UnsupportedMedia(DescantError):
    http_status = 415
    grpc_code = "INVALID_ARGUMENT"
    websocket_close = 1000
    title = "Unsupported media"


class Busy(DescantError):
    http_status = 429
    grpc_code = "RESOURCE_EXHAUSTED"
    websocket_close = 1013
    error_code = "concurrency_limited"
    title = "Too many concurrent requests"


class InternalError(DescantError):
    """Something broke on our side; details go to the log, not to the client."""


class ModelUnavailable(DescantError):
    """The model is not in memory at the moment."""

    http_status = 503
    grpc_code = "UNAVAILABLE"
    websocket_close = 1013
    title = "Model unavailable"


class ShuttingDown(DescantError):
    http_status = 503
    grpc_code = "UNAVAILABLE"
    websocket_close = 1001
    title = "Server is shutting down"


class DeadlineExceeded(DescantError):
    http_status = 504
    grpc_code = "DEADLINE_EXCEEDED"
    websocket_close = 1000
    title = "Deadline exceeded"
