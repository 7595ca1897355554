"""Noticing that an HTTP client went away while its answer is still being made."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.types import Receive

from server.engine.exchange import Cancellable


@contextlib.asynccontextmanager
async def cancelled_when_gone(receive: Receive, stream: Cancellable) -> AsyncIterator[None]:
    """Around the making of an answer, after the request's body was read: the stream is cancelled as soon as the client has
    disconnected, and at the end in any case."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stream.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        stream.cancel()
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
