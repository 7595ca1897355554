"""Where the load comes from: one process, or several that start together where one would be too slow.

Each measures how late its own event loop wakes, so that a slow client shows
instead of passing for a slow server.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, Generic, TypeVar

import uvloop

LAG_PERIOD_S = 0.01
START_TIMEOUT_S = 120.0
"""For connections and warm-up of all processes."""

Outcome = TypeVar("Outcome")
Share = TypeVar("Share")
Start = Callable[[], Awaitable[None]]
"""To be awaited once, when everything is connected and warm: the clock of the run starts."""
Load = Callable[[Share, Start], Awaitable[list[Outcome]]]


class LoadRefused(Exception):
    """The server cannot be measured like this; the message says why."""


@dataclass(slots=True)
class ClientRun(Generic[Outcome]):
    """What all clients saw. Moments are on this machine's monotonic clock."""

    outcomes: list[Outcome] = field(default_factory=list)
    begin_s: float = 0.0
    end_s: float = 0.0
    lags_s: list[float] = field(default_factory=list)
    """How late the event loop woke, every 10 ms."""

    @property
    def took_s(self) -> float:
        return self.end_s - self.begin_s


def run_clients(load: Load[Share, Outcome], shares: Sequence[Share]) -> ClientRun[Outcome]:
    """Run each share of the load: one in this process, several in a process each, started at the same moment.

    ``load`` must be a function of a module. Raises what it raises.
    """
    if len(shares) == 1:
        return _run(load, shares[0], _at_once)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(shares))
    pipes = [context.Pipe(duplex=False) for _ in shares]
    processes = [
        context.Process(target=_child, args=(load, share, barrier, sender), daemon=True)
        for share, (_, sender) in zip(shares, pipes, strict=True)
    ]
    for process, (_, sender) in zip(processes, pipes, strict=True):
        process.start()
        # Ours is closed, so that the end of the child is the end of its pipe.
        sender.close()
    answers = [_answer(receiver) for receiver, _ in pipes]
    for process in processes:
        process.join()
    # A failed process breaks the barrier of the others: the reason comes first, the broken barriers after it.
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    if failures:
        raise next((error for error in failures if not isinstance(error, _StartBroken)), failures[0])
    return _merged([answer for answer in answers if isinstance(answer, ClientRun)])


class _StartBroken(LoadRefused):
    pass


def _answer(receiver: "Connection[Any, Any]") -> "ClientRun[Any] | BaseException":
    try:
        answer: ClientRun[Any] | BaseException = receiver.recv()
    except EOFError:
        return LoadRefused("a client process ended without an answer; its output is above")
    return answer


def _child(load: Load[Share, Outcome], share: Share, barrier: Barrier, sender: "Connection[Any, Any]") -> None:
    async def together() -> None:
        try:
            await asyncio.to_thread(barrier.wait, START_TIMEOUT_S)
        except Exception as error:
            raise _StartBroken("not all client processes got ready") from error

    try:
        answer: ClientRun[Outcome] | BaseException = _run(load, share, together)
    except Exception as error:
        barrier.abort()
        answer = error if isinstance(error, LoadRefused) else LoadRefused(f"{type(error).__name__}: {error}")
    sender.send(answer)
    sender.close()


def _run(load: Load[Share, Outcome], share: Share, together: Start) -> ClientRun[Outcome]:
    run: ClientRun[Outcome] = ClientRun()

    async def start() -> None:
        await together()
        run.begin_s = time.perf_counter()

    async def all_of_it() -> None:
        async with _lags(run):
            run.outcomes = await load(share, start)
            run.end_s = time.perf_counter()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_of_it())
    return run


async def _at_once() -> None:
    pass


@asynccontextmanager
async def _lags(run: ClientRun[Outcome]) -> Any:
    """Fills ``run.lags_s`` while the clock of the run goes."""

    async def watch() -> None:
        while True:
            due_s = time.perf_counter() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            if run.begin_s:
                run.lags_s.append(max(0.0, time.perf_counter() - due_s))

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()


def _merged(runs: list[ClientRun[Outcome]]) -> ClientRun[Outcome]:
    return ClientRun(
        outcomes=[outcome for run in runs for outcome in run.outcomes],
        begin_s=min(run.begin_s for run in runs),
        end_s=max(run.end_s for run in runs),
        lags_s=[lag_s for run in runs for lag_s in run.lags_s],
    )


def even_parts(total: int, parts: int) -> list[int]:
    """``total`` in at most ``parts`` whole numbers that differ by at most one; none is 0 unless ``total`` is."""
    parts = max(1, min(parts, total))
    return [total // parts + (index < total % parts) for index in range(parts)]
