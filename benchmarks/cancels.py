"""Requests that are given up: how soon the slot is free, how fast the next request is, and whether anything is lost."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from benchmarks.hostile_clients import EARS, LONG_TEXT, post
from benchmarks.measured_server import LOOK_PERIOD_S, MeasuredServer, Row, first_byte_ms
from server.bench.stats import percentile
from server.bench.texts import TEXTS
from server.bench.tts_client import Outcome, Speaker

SHORT = TEXTS[2]
FREED_WITHIN_MS = 100.0
NEXT_AS_FAST = 1.2
"""Of medians of requests in turn; equal but for chance."""
BACK_WITHIN_S = 10.0
KEEP_ONE_IN = 10
WORKERS = 16
CANCEL_WITHIN_S = 0.3
FILLED_WITHIN_S = 120.0

_AFTER_QUEUE = ("first_step", "first_audio", "encode")

_numbers = itertools.count()


class _Context:
    """Holds a slot with a long text on a socket that others share, and reads what is said."""

    def __init__(self, server: MeasuredServer, shared: ClientConnection) -> None:
        self._server = server
        self._shared = shared
        self._id = ""

    async def start(self) -> None:
        self._id = f"holder-{next(_numbers)}"
        await self._shared.send(json.dumps(self._server.speech(LONG_TEXT, self._id)))

    async def give_up(self) -> None:
        await self._shared.send(json.dumps({"context_id": self._id, "cancel": True}))


class _Download:
    """Holds a slot with a long text over HTTP; gives it up by closing the connection."""

    def __init__(self, server: MeasuredServer, path: str = "/tts/bytes") -> None:
        self._server = server
        self._path = path
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        reader, self._writer = await asyncio.open_connection(*self._server.address)
        self._reading = asyncio.create_task(_read_on(reader))
        self._writer.write(post(self._server, self._path, LONG_TEXT))

    async def give_up(self) -> None:
        if self._writer is not None and self._reading is not None:
            self._writer.transport.abort()
            await self._reading


async def _read_on(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(1 << 16):
            pass


async def _discard(shared: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await shared.recv()


async def _until_active(server: MeasuredServer, slots: int) -> int:
    """Wait until so many slots are held, for a time; gives how many are."""
    late_s = time.perf_counter() + FILLED_WITHIN_S
    active = 0
    while active < slots and time.perf_counter() < late_s:
        await asyncio.sleep(LOOK_PERIOD_S)
        active = (await server.look()).active
    return active


@asynccontextmanager
async def _all_slots_held(server: MeasuredServer) -> AsyncIterator[tuple[list[_Context | _Download], int]]:
    """As many requests for long texts as there are slots, and how many of them got none."""
    slots = (await server.look()).slots
    async with server.target.connect("/tts/websocket", {}) as shared:
        reading = asyncio.create_task(_discard(shared))
        holders = [_Download(server) if number % 2 else _Context(server, shared) for number in range(slots)]
        try:
            for holder in holders:
                await holder.start()
            yield holders, slots - await _until_active(server, slots)
        finally:
            for holder in holders:
                await holder.give_up()
            reading.cancel()


async def _speak_for(speaker: Speaker, length_s: float) -> None:
    """Ask for a long text and stop listening after so long; the server still speaks."""
    speaking = asyncio.create_task(speaker.speak(LONG_TEXT))
    await asyncio.sleep(length_s)
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)


async def slot_freed(server: MeasuredServer, trials: int) -> list[Row]:
    """All slots are taken and one request waits; its holder's cancel lets it in.

    From the cancel to the admission, which is the first byte less what the server says that came after the queue:
    the answer's way back is in it.
    """
    freed_ms: list[float] = []
    slots = (await server.look()).slots
    waiter, chance = server.speaker(), random.Random(1)
    async with _all_slots_held(server) as (holders, _):
        for holder in itertools.islice(itertools.cycle(holders), trials):
            await _until_active(server, slots)
            begin_s = time.perf_counter()
            waiting = asyncio.create_task(waiter.speak(SHORT, begin_s))
            await asyncio.sleep(chance.uniform(0.05, 0.2))
            cancel_s = time.perf_counter()
            await holder.give_up()
            outcome = await waiting
            if outcome.error is None and outcome.first_byte_s is not None:
                after_ms = sum(outcome.stages_ms.get(stage, 0.0) for stage in _AFTER_QUEUE)
                freed_ms.append((begin_s + outcome.first_byte_s - cancel_s) * 1000 - after_ms)
            await holder.start()
    await waiter.close()
    waited_ms = [each_ms for each_ms in freed_ms if each_ms > 0.0]
    return [
        Row("cancel", "slot free after, p50", percentile(waited_ms, 50), "ms"),
        Row("cancel", "slot free after, p95", percentile(waited_ms, 95), "ms", FREED_WITHIN_MS),
        Row("cancel", "not let in by it", trials - len(waited_ms), "of " + str(trials), 0.0, is_count=True),
    ]


async def next_as_fast(server: MeasuredServer, trials: int) -> list[Row]:
    """A request once a cancel has to be over, and one on the idle server, in turn."""
    speaker, chance = server.speaker(), random.Random(2)
    await speaker.speak(SHORT)
    idle, after = [], []
    for _ in range(trials):
        await asyncio.sleep(FREED_WITHIN_MS / 1000)
        idle.append(await speaker.speak(SHORT))
        await _speak_for(speaker, chance.uniform(0.0, CANCEL_WITHIN_S))
        await speaker.cancel()
        await asyncio.sleep(FREED_WITHIN_MS / 1000)
        after.append(await speaker.speak(SHORT))
    await speaker.close()
    idle_ms, after_ms = first_byte_ms(idle, 50), first_byte_ms(after, 50)
    return [
        Row("cancel", "first byte on the idle server, p50", idle_ms, "ms"),
        Row("cancel", "first byte 100 ms after a cancel, p50", after_ms, "ms"),
        Row("cancel", "after a cancel / idle", after_ms / idle_ms, "times", NEXT_AS_FAST),
    ]


async def at_random(server: MeasuredServer, count: int) -> list[Row]:
    """So many requests given up at random moments, a tenth as many kept among them; then what is left of them."""
    left, kept = iter(range(count)), list[Outcome]()
    begin_s = time.perf_counter()
    await asyncio.gather(*(_Caller(server, seed).call(left, kept) for seed in range(min(WORKERS, count))))
    took_s = time.perf_counter() - begin_s
    back_s, seen = await server.idle_after_s(BACK_WITHIN_S)
    lost = [outcome for outcome in kept if outcome.error is not None]
    for outcome in lost[:3]:
        print(f"lost: {outcome.error}")
    async with _all_slots_held(server) as (_, missing):
        pass
    return [
        Row("cancels", f"{count} in", took_s, "s"),
        Row("cancels", "requests lost that were kept", len(lost), f"of {len(kept)}", 0.0, is_count=True),
        Row("cancels", "slots taken in the end", seen.active + seen.queued, "slots", 0.0, is_count=True),
        Row("cancels", "sessions open in the end", seen.open, "sessions", 0.0, is_count=True),
        Row("cancels", "until nothing was open", back_s, "s", BACK_WITHIN_S, is_count=True),
        Row("cancels", "slots that nobody can have", missing, "slots", 0.0, is_count=True),
    ]


class _Caller:
    """Gives up one request after another, each in another way."""

    def __init__(self, server: MeasuredServer, seed: int) -> None:
        self._server = server
        self._chance = random.Random(seed)
        self._speaker = server.speaker()
        self._ways: tuple[Callable[[], Awaitable[None]], ...] = (
            self._cancel, self._cancel, self._leave, self._drop, self._drop_events, self._stop_listening,
        )  # fmt: skip

    async def call(self, left: Iterator[int], kept: list[Outcome]) -> None:
        for number in left:
            if number % KEEP_ONE_IN == 0:
                kept.append(await self._speaker.speak(SHORT))
            await self._chance.choice(self._ways)()
        await self._speaker.close()

    def _moment_s(self) -> float:
        return self._chance.uniform(0.0, CANCEL_WITHIN_S)

    async def _cancel(self) -> None:
        """By the message, on a connection that goes on."""
        await _speak_for(self._speaker, self._moment_s())
        await self._speaker.cancel()

    async def _leave(self) -> None:
        """With the whole connection."""
        await _speak_for(self._speaker, self._moment_s())
        self._speaker.drop()

    async def _drop(self) -> None:
        await self._download("/tts/bytes")

    async def _drop_events(self) -> None:
        await self._download("/tts/sse")

    async def _download(self, path: str) -> None:
        download = _Download(self._server, path)
        await download.start()
        await asyncio.sleep(self._moment_s())
        await download.give_up()

    async def _stop_listening(self) -> None:
        async with self._server.target.connect("/stt/websocket", EARS) as socket:
            await socket.send(bytes(self._chance.randbytes(16_000)))
            await asyncio.sleep(self._moment_s())
            socket.transport.abort()
