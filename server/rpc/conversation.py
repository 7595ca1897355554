"""One bidirectional stream from its configuration to its last word: a client that stalls ends its own call only."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from server.engine.exchange import Cancellable, exchange
from server.errors import DeadlineExceeded, InvalidRequest
from server.rpc.call import Call

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


class Conversation(ABC):
    """One admitted stream of the engine: what the client sends goes in, what the engine says goes out."""

    def __init__(self, call: Call, stream: Cancellable, idle_s: float | None) -> None:
        """``idle_s`` is the longest time between two messages of the client, None for any."""
        self._call = call
        self._stream = stream
        self._idle_s = idle_s
        self._cancelled = False

    async def run(self, requests: AsyncIterator[Any]) -> None:
        """Until everything is said or the client cancelled; raises what went wrong on either side."""
        await exchange(self._stream, lambda: self._read(requests), self._answer)
        await self._send(self._done())

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        while (message := await receive(requests, self._idle_s)) is not END:
            kind = message.WhichOneof("message")
            if kind == "cancel":
                self._cancelled = True
                self._stream.cancel()
                return
            await self._take(kind, message)
        await self._finish()

    async def _answer(self) -> None:
        async for response in self._responses():
            await self._send(response)

    async def _send(self, response: Any) -> None:
        await send(self._call.context, response, self._call.services.settings.limits.stall_timeout_s)

    @abstractmethod
    async def _take(self, kind: str | None, message: Any) -> None:
        """One message after the configuration, other than a cancel."""

    @abstractmethod
    async def _finish(self) -> None:
        """The client half-closed."""

    @abstractmethod
    def _responses(self) -> AsyncIterator[Any]:
        """What the engine says, until the stream ends."""

    @abstractmethod
    def _done(self) -> Any:
        """The last message."""
