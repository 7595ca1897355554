"""Events from a worker to one reader on the event loop."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

E = TypeVar("E")


class EventQueue(Generic[E]):
    """Events from a worker to one reader, both on the event loop; ends once, well or with an error."""

    def __init__(self) -> None:
        self._events: deque[E] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    def put(self, events: list[E], ended: bool, error: Exception | None) -> None:
        if self._ended:
            return
        self._events.extend(events)
        self._ended, self._error = ended, error
        self._news.set()

    def close(self) -> None:
        """Drop what is unread; the reader ends without an error."""
        self._events.clear()
        self._ended, self._error = True, None
        self._news.set()

    async def get(self) -> E:
        """The next event; raises StopAsyncIteration after the last, or the error (again on each call)."""
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()
