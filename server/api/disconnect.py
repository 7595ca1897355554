"""Noticing that an HTTP client went away while its answer is still being made."""

from collections.abc import Callable

from starlette.types import Receive


async def cancel_when_gone(receive: Receive, cancel: Callable[[], None]) -> None:
    """Wait for the client to disconnect, then cancel. To be started after the request's body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass
    cancel()
