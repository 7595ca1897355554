"""What every gRPC method has at hand, and the one place where errors become statuses."""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import grpc.aio

from server.errors import DescantError, InternalError
from server.services import ClientCall, Services
from server.storage.authentication import Operation, authenticate, credential_in

_log = logging.getLogger("descant.rpc")

FIELD_NAMES: Mapping[str, str] = {
    "model_id": "config.model",
    "voice": "config.voices",
    "language": "config.language",
    "transcript": "text",
    "normalization": "config.normalization",
    "pronunciation_dict_id": "config.pronunciation_dict_id",
    "add_timestamps": "config.times",
    "add_phoneme_timestamps": "config.times.phonemes",
    "generation_config.speed": "config.controls.speed",
    "generation_config.volume": "config.controls.volume",
    "generation_config.pitch": "config.controls.pitch_semitones",
    "generation_config.pitch_range": "config.controls.pitch_range",
    "generation_config.emotion": "config.controls.emotion",
    "generation_config.sampling": "config.sampling",
    "generation_config.instructions": "config.instructions",
}
"""Fields as parts shared with the HTTP API name them, and as this contract does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(ClientCall):
    """One call of one method."""

    context: Any
    """grpc.aio.ServicerContext"""


@asynccontextmanager
async def answered(
    services: Services, context: Any, operation: Operation, field_names: Mapping[str, str] = FIELD_NAMES
) -> AsyncIterator[Call]:
    """Around the body of a method: checks the caller's key or token, and turns every error into a status.

    A call that the client cancelled leaves through CancelledError, as gRPC wants it.
    """
    request_id = str(uuid.uuid4())
    received_s = time.perf_counter()
    try:
        yield Call(services, request_id, received_s, _authenticate(services, context, operation), context=context)
    except DescantError as error:
        await _abort(context, _renamed(error, field_names), request_id)
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        if context.done():
            _log.debug("the client of call %s went away", request_id)
            raise asyncio.CancelledError from None
        _log.error("call %s failed", request_id, exc_info=error)
        message = f"Something went wrong in the server; its log has the details under request id {request_id}."
        await _abort(context, InternalError(message), request_id)


def _authenticate(services: Services, context: Any, operation: Operation) -> str:
    """The id of the caller's key, "" where any key will do."""
    metadata: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            # Of several the first counts, as on HTTP.
            metadata.setdefault(name, value)
    credential = credential_in(metadata.get("authorization", ""), metadata.get("x-api-key", ""))
    how_to_send = "the metadata 'authorization: Bearer KEY' or 'x-api-key: KEY'"
    return authenticate(services.settings, services.keys, credential, operation, how_to_send)


def _renamed(error: DescantError, field_names: Mapping[str, str]) -> DescantError:
    """The same error about the field's name in this contract."""
    if error.field is None or error.field not in field_names:
        return error
    name = field_names[error.field]
    told = error.message
    if told.startswith(f"{error.field}: "):
        told = name + told.removeprefix(error.field)
    return type(error)(told, field=name, retry_after_s=error.retry_after_s)


async def _abort(context: Any, error: DescantError, request_id: str) -> NoReturn:
    trailing = [("x-request-id", request_id)]
    if error.field is not None:
        trailing.append(("descant-field", error.field))
    if error.error_code is not None:
        trailing.append(("descant-error-code", error.error_code))
    if error.retry_after_s is not None:
        trailing.append(("grpc-retry-pushback-ms", str(math.ceil(error.retry_after_s * 1000))))
    await context.abort(grpc.StatusCode[error.grpc_code], error.message, tuple(trailing))
    raise AssertionError("abort always raises")
