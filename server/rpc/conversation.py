"""Reading and writing one bidirectional stream with deadlines: a client that stalls ends its own call only."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from server.errors import DeadlineExceeded, InvalidRequest

Message = TypeVar("Message")

END = None
"""What `receive` gives when the client has half-closed."""


async def receive(requests: AsyncIterator[Message], idle_s: float | None) -> Message | None:
    """The next message, or END. Raises DeadlineExceeded when none came for ``idle_s`` seconds (None: waits for
    ever), InvalidRequest for bytes that are no message of the contract."""
    try:
        return await asyncio.wait_for(anext(requests), idle_s)
    except StopAsyncIteration:
        return END
    except DecodeError as error:
        raise InvalidRequest(f"message: cannot be read: {error}", field="message") from None
    except TimeoutError:
        raise DeadlineExceeded(f"no message came for {idle_s:g} s") from None


async def receive_config(requests: AsyncIterator[Any], idle_s: float) -> Any:
    """The configuration in the first message. Raises InvalidRequest naming ``config`` for any other beginning."""
    first = await receive(requests, idle_s)
    if first is END:
        raise InvalidRequest("config: is required; the stream ended without a message", field="config")
    kind = first.WhichOneof("message")
    if kind != "config":
        raise InvalidRequest(f"config: must be the first message, not {kind or 'an empty one'}", field="config")
    return first.config


async def send(context: Any, message: Any, stall_s: float) -> None:
    """Raises DeadlineExceeded when the client took nothing for ``stall_s`` seconds."""
    try:
        await asyncio.wait_for(context.write(message), stall_s)
    except TimeoutError:
        raise DeadlineExceeded(f"the client read nothing for {stall_s:g} s") from None


def unexpected(kind: str | None) -> InvalidRequest:
    """The error for a message that has no place after the configuration."""
    if kind == "config":
        return InvalidRequest("config: was sent already; it is the first message and only that", field="config")
    return InvalidRequest("message: is empty", field="message")
