"""Both directions of a stream at once: who ends whom, and which error is told."""

import asyncio

import pytest

from server.engine.exchange import exchange
from server.errors import InvalidRequest


class Stream:
    """Answers until it is cancelled."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.said: list[str] = []

    def cancel(self) -> None:
        self.ended.set()

    async def answer(self) -> None:
        await asyncio.wait_for(self.ended.wait(), 5)
        self.said.append("last word")


async def for_ever() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    pass


async def test_wrong_input_ends_the_stream_and_is_told_after_its_last_word() -> None:
    stream = Stream()

    async def read() -> None:
        raise InvalidRequest("text: is wrong", field="text")

    with pytest.raises(InvalidRequest, match="text: is wrong"):
        await exchange(stream, read, stream.answer)
    assert stream.said == ["last word"]


async def test_reading_stops_with_the_answer() -> None:
    stream, reading = Stream(), asyncio.Event()

    async def read() -> None:
        stream.cancel()
        try:
            await for_ever()
        finally:
            reading.set()

    await exchange(stream, read, stream.answer)
    assert reading.is_set()
    assert stream.said == ["last word"]


async def test_input_that_ends_does_not_end_the_answer() -> None:
    stream = Stream()
    task = asyncio.create_task(exchange(stream, nothing, stream.answer))
    await asyncio.sleep(0.02)
    assert not task.done()
    stream.cancel()
    await task
    assert stream.said == ["last word"]


async def test_a_failing_answer_and_a_cancelled_exchange_leave_no_reader() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("the model broke")

    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="the model broke"):
        await exchange(Stream(), for_ever, fail)
    task = asyncio.create_task(exchange(Stream(), for_ever, for_ever))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
