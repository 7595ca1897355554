"""More clients than there is room for, and clients that misbehave, beside others who are to be served as before."""

import asyncio
import itertools
import random
import socket
import statistics
from collections.abc import Sequence

from benchmarks.hostile_clients import MISDEEDS
from benchmarks.measured_server import MODEL, MeasuredServer, Row, first_byte_ms
from server.bench.clients import run_clients
from server.bench.stats import percentile
from server.bench.texts import TEXTS
from server.bench.tts_client import TOO_MANY, Outcome, Speaker
from server.bench.tts_load import Loop, SpeechLoad, speech_load
from server.bench.watch import ServerWatch

BESIDE_HOSTILE = 1.2
BACK_WITHIN_S = 10.0
AT_THREE_TIMES = 1.5
REFUSED_WITHIN_MS = 50.0
OVERLOAD = 3.0
MEMORY_FLAT = 1.05
"""Peak of the last fifth of the overload over that of the first."""
FIRST_REQUEST = 1.3
REQUESTS_PER_SLOT = 6


async def first_request(server: MeasuredServer, warm: int) -> tuple[float, float]:
    """First byte of the first request, and the median of those after it, in ms; the connection is in each."""
    first, *others = [await _on_its_own(server, number) for number in range(warm + 1)]
    return first_byte_ms([first], 50), first_byte_ms(others, 50)


async def _on_its_own(server: MeasuredServer, number: int) -> Outcome:
    speaker = server.speaker()
    outcome = await speaker.speak(TEXTS[0])
    await speaker.close()
    return outcome


def first_request_rows(measured: Sequence[tuple[float, float]]) -> list[Row]:
    """``measured`` once for each start of a server."""
    ratios = [first_ms / warm_ms for first_ms, warm_ms in measured]
    return [
        Row("first request", "warm, p50", statistics.median(warm_ms for _, warm_ms in measured), "ms"),
        Row("first request", f"worst of {len(ratios)} starts / warm", max(ratios), "times"),
        Row("first request", "first / warm", statistics.median(ratios), "times", FIRST_REQUEST),
    ]


async def hostile(server: MeasuredServer, each: int, listeners: int, alone_s: float, deadline_s: float) -> list[Row]:
    """``each`` of every kind arrive within ``alone_s``, beside listeners in a closed loop, and stay.

    ``deadline_s`` is the longest after which the server gives such a client up.
    """
    speakers = [server.speaker() for _ in range(listeners)]
    await _listen(speakers, 0.0)
    alone = await _listen(speakers, alone_s)
    before = await server.look()
    crowd = asyncio.create_task(_arrive(server, each, alone_s))
    beside = await _listen(speakers, alone_s + deadline_s, crowd)
    clients = await crowd
    back_s, seen = await server.idle_after_s(3 * BACK_WITHIN_S)
    for client in clients:
        client.close()
    alone += await _listen(speakers, alone_s)
    await asyncio.gather(*(speaker.close() for speaker in speakers))
    taken = seen.accepted - before.accepted - sum(outcome.status != TOO_MANY for outcome in beside)
    lost = [outcome for outcome in alone + beside if outcome.error is not None]
    for outcome in lost[:3]:
        print(f"lost: {outcome.error}")
    alone_ms, beside_ms = first_byte_ms(alone, 95), first_byte_ms(beside, 95)
    return [
        Row("hostile", f"sessions of {len(MISDEEDS) * each} hostile clients", taken, "sessions"),
        Row("hostile", "slots taken in the end", seen.active + seen.queued, "slots", 0.0, is_count=True),
        Row("hostile", "sessions open in the end", seen.open, "sessions", 0.0, is_count=True),
        Row("hostile", "all back after the last deadline", back_s, "s", BACK_WITHIN_S, is_count=True),
        Row("hostile", "requests of others lost", len(lost), f"of {len(alone + beside)}", 0.0, is_count=True),
        Row("hostile", "first byte of others without them, p95", alone_ms, "ms"),
        Row("hostile", "first byte of others beside them, p95", beside_ms, "ms"),
        Row("hostile", "beside them / without them", beside_ms / alone_ms, "times", BESIDE_HOSTILE),
    ]


async def _listen(speakers: Sequence[Speaker], length_s: float, until: "asyncio.Task[object] | None" = None) -> list[Outcome]:
    """Each asks for one text after another, once at least, for so long and until the task is done."""
    texts, clock = itertools.cycle(TEXTS), asyncio.get_running_loop().time
    end_s = clock() + length_s
    outcomes: list[Outcome] = []

    async def keep_asking(speaker: Speaker) -> None:
        while True:
            outcomes.append(await speaker.speak(next(texts)))
            if clock() >= end_s and (until is None or until.done()):
                return

    await asyncio.gather(*(keep_asking(speaker) for speaker in speakers))
    return outcomes


async def _arrive(server: MeasuredServer, each: int, within_s: float) -> list[socket.socket]:
    chance = random.Random(3)

    async def one(number: int, kind: int, at_s: float) -> socket.socket:
        await asyncio.sleep(at_s)
        return await asyncio.to_thread(MISDEEDS[kind], server, number)

    arrivals = [one(number, kind, chance.uniform(0.0, within_s)) for number in range(each) for kind in range(len(MISDEEDS))]
    return await asyncio.gather(*arrivals)


def overload(server: MeasuredServer, length_s: float) -> list[Row]:
    """As many streams as there are slots, which is capacity; then three times the requests a second that it served."""
    slots = server.sessions().slots
    closed = SpeechLoad(server.target, MODEL, server.voice, Loop.CLOSED, slots, REQUESTS_PER_SLOT * slots)
    full = run_clients(speech_load, closed.shares(1))
    rate = sum(outcome.error is None for outcome in full.outcomes) / full.took_s
    flood = SpeechLoad(
        server.target, MODEL, server.voice, Loop.OPEN, OVERLOAD * rate, max(1, round(OVERLOAD * rate * length_s))
    )
    with ServerWatch(server.process_id, server.metrics_url) as watch:
        over = run_clients(speech_load, flood.shares(1))
    admitted = [outcome for outcome in over.outcomes if outcome.error is None]
    refused_ms = [outcome.end_s * 1000 for outcome in over.outcomes if outcome.status == TOO_MANY]
    lost = [o for o in full.outcomes + over.outcomes if o.error is not None and o.status != TOO_MANY]
    for outcome in lost[:3]:
        print(f"lost: {outcome.error}")
    at_ms, over_ms = first_byte_ms(full.outcomes, 95), first_byte_ms(admitted, 95)
    return [
        Row("overload", f"capacity, {slots} streams", rate, "requests/s"),
        Row("overload", "first byte at capacity, p95", at_ms, "ms"),
        Row("overload", "served at three times capacity", len(admitted) / over.took_s, "requests/s"),
        Row("overload", "first byte of admitted, p95", over_ms, "ms"),
        Row("overload", "admitted at three times / at capacity", over_ms / at_ms, "times", AT_THREE_TIMES),
        Row("overload", f"refusals ({len(refused_ms)}), p95", percentile(refused_ms, 95), "ms", REFUSED_WITHIN_MS),
        Row("overload", "failed otherwise", len(lost), f"of {len(over.outcomes)}", 0.0, is_count=True),
        Row("overload", "clients' own lag, p99", percentile([lag_s * 1000 for lag_s in over.lags_s], 99), "ms"),
        *_memory_rows(watch.memory_mib),
    ]


def _memory_rows(memory_mib: Sequence[float]) -> list[Row]:
    fifth = len(memory_mib) // 5
    if not fifth:
        return []
    first_mib, last_mib = max(memory_mib[:fifth]), max(memory_mib[-fifth:])
    return [
        Row("overload", "memory in the first fifth", first_mib, "MiB"),
        Row("overload", "last fifth / first fifth", last_mib / first_mib, "times", MEMORY_FLAT),
    ]
