"""The thread around an activity: faults, order, start and stop."""

import asyncio
import threading

import pytest

from server.engine.worker import Delivery, Worker


class Echo:
    """Hands every command back; "fault" raises, "late fault" raises in the next turn."""

    def __init__(self, loop_thread: int, fails_to_open: bool = False) -> None:
        self.heard: list[str] = []
        self.failures: list[str] = []
        self.delivered: list[str] = []
        self._fails_to_open = fails_to_open
        self._out: list[Delivery] = []
        self._loop_thread = loop_thread
        self._turn_fault = False
        self.thread = 0

    def open(self) -> None:
        self.thread = threading.get_ident()
        if self._fails_to_open:
            raise ValueError("no weights")

    def handle(self, command: str) -> None:
        assert threading.get_ident() == self.thread
        if command == "fault":
            raise ValueError("asked to")
        self._turn_fault = command == "late fault"
        self.heard.append(command)
        self._out.append(lambda: self._deliver(command))

    def _deliver(self, command: str) -> None:
        assert threading.get_ident() == self._loop_thread
        self.delivered.append(command)

    def turn(self) -> float | None:
        if self._turn_fault:
            self._turn_fault = False
            raise ValueError("asked to, later")
        return None

    def fail(self, error: Exception) -> None:
        self.failures.append(str(error))

    def deliveries(self) -> list[Delivery]:
        done, self._out = self._out, []
        return done


async def test_order_and_hand_over() -> None:
    echo = Echo(threading.get_ident())
    worker = Worker("test", echo)
    await worker.start()
    for number in range(100):
        worker.post(str(number))
    await worker.stop()
    assert echo.delivered == [str(number) for number in range(100)]
    assert echo.thread != threading.get_ident()


async def test_faults_do_not_kill_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    echo = Echo(threading.get_ident())
    worker = Worker("test", echo)
    await worker.start()
    for command in ("one", "fault", "two", "late fault"):
        worker.post(command)
    await asyncio.sleep(0.05)
    worker.post("three")
    await worker.stop()
    assert echo.delivered == ["one", "two", "late fault", "three"]
    assert echo.failures == ["asked to", "asked to, later"]
    assert "command failed" in caplog.text
    assert "turn failed" in caplog.text


async def test_start_raises_what_opening_raised() -> None:
    worker = Worker("test", Echo(threading.get_ident(), fails_to_open=True))
    with pytest.raises(ValueError, match="no weights"):
        await worker.start()
    await worker.stop()


async def test_stop_twice_and_without_start() -> None:
    worker = Worker("test", Echo(threading.get_ident()))
    await worker.stop()
    await worker.start()
    await worker.stop()
    await worker.stop()
