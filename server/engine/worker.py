"""A thread that owns something: it takes frozen commands, works, and hands results to the event loop.

Nothing but the thread touches what it owns; everybody else posts commands. The
loop never ends by an exception: a failing command or turn is logged, and the
owner is asked to fail the sessions it holds.
"""

import asyncio
import functools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

log = logging.getLogger("descant.engine")

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)

Clock = Callable[[], float]
Delivery = Callable[[], None]
"""Something to run on the event loop."""


class Activity(Protocol[C_contra]):
    """What a worker does. All methods but the constructor run on the worker's thread."""

    def open(self) -> None:
        """Before the first command; may take long and may raise, which fails the start."""

    def handle(self, command: C_contra) -> None: ...

    def turn(self) -> float | None:
        """Do one unit of work. Gives in how many seconds to come back: 0 at once, None only for a command."""

    def fail(self, error: Exception) -> None:
        """Something outside one session's reach broke: end all of them with an internal error."""

    def deliveries(self) -> list[Delivery]:
        """What came of it since the last call, in order, to run on the event loop in one go."""


class _Stop:
    """The last command of a worker."""


class Worker(Generic[C]):
    """One thread around one activity."""

    def __init__(self, name: str, activity: Activity[C]) -> None:
        self._activity = activity
        self._inbox: queue.SimpleQueue[C | _Stop] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"descant-{name}", daemon=True)

    async def start(self) -> None:
        """Start the thread and wait until its activity is open; raises what opening raised."""
        self._loop = asyncio.get_running_loop()
        self._opened, self._closed = self._loop.create_future(), self._loop.create_future()
        self._thread.start()
        await self._opened

    def post(self, command: C) -> None:
        """From any thread; never blocks."""
        self._inbox.put(command)

    async def stop(self) -> None:
        """Handle what was posted before, then end the thread."""
        if self._closed is None or not self._thread.is_alive():
            return
        self._inbox.put(_Stop())
        await self._closed
        self._thread.join()

    def _run(self) -> None:
        try:
            self._activity.open()
        except Exception as error:
            self._hand_over([functools.partial(_settle, self._opened, error), functools.partial(_settle, self._closed, None)])
            return
        self._hand_over([functools.partial(_settle, self._opened, None)])
        self._work()
        self._hand_over([functools.partial(_settle, self._closed, None)])

    def _work(self) -> None:
        wait_s: float | None = None
        is_last = False
        while not is_last:
            is_last = not self._take(wait_s)
            wait_s = None if is_last else self._turn()
            deliveries = self._activity.deliveries()
            if deliveries:
                self._hand_over(deliveries)

    def _take(self, wait_s: float | None) -> bool:
        """Wait for a command, then handle all that are there; False after the last one."""
        try:
            command = self._inbox.get_nowait() if wait_s == 0.0 else self._inbox.get(timeout=wait_s)
        except queue.Empty:
            return True
        while True:
            if isinstance(command, _Stop):
                return False
            try:
                self._activity.handle(command)
            except Exception as error:
                log.exception("command failed: %r", command)
                self._activity.fail(error)
            try:
                command = self._inbox.get_nowait()
            except queue.Empty:
                return True

    def _turn(self) -> float | None:
        try:
            return self._activity.turn()
        except Exception as error:
            log.exception("turn failed")
            self._activity.fail(error)
            return 0.0

    def _hand_over(self, deliveries: list[Delivery]) -> None:
        """One wake-up of the event loop for everything a turn gave."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(_run_all, deliveries)
        except RuntimeError:
            log.debug("event loop is closed; %d results dropped", len(deliveries))


def _run_all(deliveries: list[Delivery]) -> None:
    for delivery in deliveries:
        delivery()


def _settle(future: "asyncio.Future[None] | None", error: Exception | None) -> None:
    if future is None or future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def default_clock() -> float:
    """The clock of all stage times."""
    return time.perf_counter()
