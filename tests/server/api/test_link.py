"""A socket whose client leaves while frames are on their way."""

from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from server.api.call import Call
from server.api.link import Link, LinkClosed
from server.api.versions import NEWEST
from tests.server.api.harness import ApiServer


class _Leaving:
    """Stands for a WebSocket that raises what the layers below raise when the client left."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def send_text(self, text: str) -> None:
        raise self._error

    async def close(self, code: int, reason: str | None = None) -> None:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        WebSocketDisconnect(1006),
        BrokenPipeError(),
        RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_sending_to_a_client_that_left_ends_the_link_quietly(api: ApiServer, error: Exception) -> None:
    websocket: Any = _Leaving(error)
    services: Any = api
    link = Link(websocket, Call(services, "request", 0.0, version=NEWEST), idle_s=1.0)
    with pytest.raises(LinkClosed):
        await link.send({"type": "chunk"})
    await link.close(1000)
