"""Both directions of one open stream at once: what a client says goes in while what the engine says goes out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from server.errors import DescantError


class Cancellable(Protocol):
    def cancel(self) -> None: ...


async def exchange(stream: Cancellable, read: Callable[[], Awaitable[None]], answer: Callable[[], Awaitable[None]]) -> None:
    """Run ``read`` beside ``answer`` until the latter is done, then stop the former.

    What is wrong with the client's input, a DescantError of ``read``, cancels the stream and is raised once ``answer`` has
    come to the stream's end. What ``answer`` raises is raised at once.
    """
    failures: list[DescantError] = []

    async def take_input() -> None:
        try:
            await read()
        except DescantError as error:
            failures.append(error)
            stream.cancel()

    reader = asyncio.create_task(take_input())
    try:
        await answer()
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    if failures:
        raise failures[0]
