"""A WebSocket as the speaking and the listening handlers see it: frames out, messages in, deadlines kept."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from server.api.call import Call

IDLE_CLOSE = 1001
STALL_CLOSE = 1008

_GONE = (WebSocketDisconnect, WebSocketDisconnected, OSError, RuntimeError)
"""What sending raises once the client left. The RuntimeError is uvicorn's, between the client's close and our
reading of it: "Unexpected ASGI message 'websocket.send', after sending 'websocket.close'"."""


class LinkClosed(Exception):
    """The other side went away, stopped reading for too long, or the socket was closed here."""


class LinkIdle(Exception):
    """Nothing went either way for the idle time."""


class Link:
    """One connection; several tasks may send, one receives."""

    def __init__(self, websocket: WebSocket, call: Call, idle_s: float) -> None:
        self._websocket = websocket
        self._idle_s = idle_s
        self._stall_s = call.services.settings.limits.stall_timeout_s
        self._last_traffic_s = asyncio.get_running_loop().time()
        self._waiting: asyncio.Timeout | None = None
        self._stalled = False

    async def accept(self) -> None:
        """Answer the handshake with 101; until then an error becomes an HTTP status."""
        await self._websocket.accept()

    async def send(self, frame: Mapping[str, Any]) -> None:
        """One JSON text frame. Raises LinkClosed, also when the client reads nothing for the stall time."""
        text = json.dumps(frame, separators=(",", ":"))
        try:
            async with asyncio.timeout(self._stall_s):
                await self._websocket.send_text(text)
        except TimeoutError:
            self._give_up()
            raise LinkClosed from None
        except _GONE:
            raise LinkClosed from None
        self._last_traffic_s = asyncio.get_running_loop().time()

    async def receive(self) -> str | bytes:
        """The next message. Raises LinkClosed or LinkIdle."""
        loop = asyncio.get_running_loop()
        while not self._stalled:
            try:
                async with asyncio.timeout_at(self._last_traffic_s + self._idle_s) as self._waiting:
                    message = await self._websocket.receive()
            except TimeoutError:
                if not self._stalled and loop.time() >= self._last_traffic_s + self._idle_s:
                    raise LinkIdle from None
                continue
            except WebSocketDisconnected:
                raise LinkClosed from None
            finally:
                self._waiting = None
            if message["type"] == "websocket.disconnect":
                raise LinkClosed
            self._last_traffic_s = loop.time()
            text = message.get("text")
            return str(text) if text is not None else bytes(message["bytes"])
        raise LinkClosed

    async def close(self, code: int, reason: str = "") -> None:
        """Close from this side; does nothing on a link that is gone."""
        try:
            async with asyncio.timeout(self._stall_s):
                await self._websocket.close(code, reason)
        except (TimeoutError, *_GONE):
            pass

    async def close_if_stalled(self) -> None:
        """Tell a client that did not read why it lost everything. To be called once its sessions are over: the
        close waits behind what is unread, and is given up after another stall time."""
        if self._stalled:
            await self.close(STALL_CLOSE, f"The client read nothing for {self._stall_s:g} s.")

    def _give_up(self) -> None:
        """Wake the receiver, so that the whole connection ends and not just the task that sent."""
        self._stalled = True
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())
