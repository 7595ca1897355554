"""Load on any server with the Cartesia API, over its speaking WebSocket, and what it felt like.

Closed loop: a fixed number of streams, each with one request under way at all
times. Open loop: requests start at random (Poisson) moments whether or not
earlier ones have ended, as callers do; their clock starts at the moment they were
due, so a server that falls behind cannot hide it. ``benchmarks/README.md`` says
how the figures are defined.
"""

import asyncio
import base64
import itertools
import json
import random
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from models.base import Pcm
from server.bench.playback import Arrival, count_underruns, first_audible_s
from server.bench.stats import record, summary

SAMPLE_RATE_HZ = 24_000
API_VERSION = "2025-11-04"
REQUEST_TIMEOUT_S = 60.0

TEXTS = (
    "Thank you for calling, how can I help you today?",
    "Your table for four is booked for half past seven on Friday evening.",
    "One moment, please.",
    "The parcel left our warehouse this morning and should reach you by Thursday.",
    "I am sorry to hear that. Could you tell me the number on the back of the card?",
    "The next train to the coast leaves from platform nine in twelve minutes.",
    "Yes, that is right.",
    "It will be cloudy at first, with some sun in the afternoon and a light wind from the west.",
    "Please hold the line while I look that up for you.",
    "Your balance is two hundred and forty dollars and sixteen cents.",
    "Turn left after the bridge, then keep to the right until you see the church.",
    "Good morning! You have three messages and one meeting before lunch.",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask for; everything but ``key`` is part of the record."""

    url: str
    key: str
    model: str
    voice: str | None
    requests: int
    text: str | None
    seed: int = 0

    def at(self, url: str) -> "Plan":
        return replace(self, url=url.rstrip("/"))


@dataclass(slots=True)
class Outcome:
    """One request as the client saw it. Seconds count from when it was sent, or, in the open loop, due."""

    first_byte_s: float | None = None
    first_playable_s: float | None = None
    first_audible_s: float | None = None
    end_s: float = 0.0
    audio_s: float = 0.0
    underruns: int = 0
    error: str | None = None
    stages_ms: dict[str, float] = field(default_factory=dict)


_COLUMNS = (
    ("load", 7), ("requests", 9), ("errors", 7), ("byte p50", 9), ("p95", 8), ("p99", 8), ("audible p50", 12), ("p95", 8),
    ("rtf p50", 8), ("p95", 7), ("dry", 5), ("audio s/s", 10),
)  # fmt: skip
HEADER = "".join(title.rjust(width) for title, width in _COLUMNS)
"""Times to the first byte and the first audible sample in ms; ``dry``: requests with an underrun."""


def format_row(row: dict[str, Any]) -> str:
    """One line under `HEADER` for what `measure` gave."""
    config, byte, audible, rtf = row["config"], row["first_byte_ms"], row["first_audible_ms"], row["rtf"]
    cells = [
        f"{config['requests_per_s']:g}/s" if config["loop"] == "open" else str(config["streams"]),
        str(row["requests"]),
        str(row["errors"]),
        *(f"{byte[name]:.1f}" if byte else "-" for name in ("p50", "p95", "p99")),
        *(f"{audible[name]:.1f}" if audible else "-" for name in ("p50", "p95")),
        *(f"{rtf[name]:.3f}" if rtf else "-" for name in ("p50", "p95")),
        str(row["requests_with_underruns"]),
        f"{row['audio_s_per_s']:.1f}",
    ]
    return "".join(cell.rjust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True))


async def measure(plan: Plan, *, streams: int = 1, requests_per_s: float | None = None) -> dict[str, Any]:
    """Run the load and give one record. Closed loop with ``streams``, or open loop where a rate is given.

    A request per connection is sent first and not counted. Failed requests are
    counted as errors; a server that cannot be reached raises OSError.
    """
    voice = plan.voice
    if voice is None:
        voice = await asyncio.to_thread(_first_voice, plan)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(_connect(plan)) for _ in range(streams)]
        speakers = [_Speaker(socket, plan, voice) for socket in sockets]
        await asyncio.gather(*(speaker.speak(TEXTS[0]) for speaker in speakers))
        texts = _texts(plan)
        begin_s = time.perf_counter()
        if requests_per_s is None:
            outcomes = await _closed_loop(speakers, texts, plan.requests)
        else:
            outcomes = await _open_loop(stack, speakers, texts, plan, voice, requests_per_s)
        took_s = time.perf_counter() - begin_s
    config = {**asdict(plan), "voice": voice, "streams": streams, "requests_per_s": requests_per_s}
    config |= {"loop": "closed" if requests_per_s is None else "open", "sample_rate_hz": SAMPLE_RATE_HZ}
    # A port that the system picked says nothing, and a key is nobody's business.
    config = {name: value for name, value in config.items() if name not in ("key", "url")}
    return record("tts_latency", config, {"host": urlsplit(plan.url).hostname, **_figures(outcomes, took_s)})


def _figures(outcomes: list[Outcome], took_s: float) -> dict[str, Any]:
    good = [outcome for outcome in outcomes if outcome.error is None]
    stages = {name: [outcome.stages_ms[name] for outcome in good if name in outcome.stages_ms] for name in _stage_names(good)}
    return {
        "requests": len(outcomes),
        "errors": len(outcomes) - len(good),
        "first_error": next((outcome.error for outcome in outcomes if outcome.error), None),
        "first_byte_ms": _milliseconds([outcome.first_byte_s for outcome in good]),
        "first_playable_ms": _milliseconds([outcome.first_playable_s for outcome in good]),
        "first_audible_ms": _milliseconds([outcome.first_audible_s for outcome in good]),
        "rtf": summary([outcome.end_s / outcome.audio_s for outcome in good if outcome.audio_s], digits=4),
        "requests_with_underruns": sum(outcome.underruns > 0 for outcome in good),
        "underruns": sum(outcome.underruns for outcome in good),
        "audio_s_per_s": round(sum(outcome.audio_s for outcome in good) / took_s, 2),
        "took_s": round(took_s, 2),
        "server_stages_ms": {name: summary(values) for name, values in stages.items()},
    }


async def _closed_loop(speakers: list["_Speaker"], texts: Iterator[str], requests: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    left = iter(range(requests))

    async def keep_going(speaker: _Speaker) -> None:
        for _ in left:
            outcomes.append(await speaker.speak(next(texts)))

    await asyncio.gather(*(keep_going(speaker) for speaker in speakers))
    return outcomes


async def _open_loop(
    stack: AsyncExitStack, idle: list["_Speaker"], texts: Iterator[str], plan: Plan, voice: str, requests_per_s: float
) -> list[Outcome]:
    gaps = random.Random(plan.seed)
    due_s = time.perf_counter()
    tasks = []

    async def one(due_s: float, text: str) -> Outcome:
        speaker = idle.pop() if idle else _Speaker(await stack.enter_async_context(_connect(plan)), plan, voice)
        outcome = await speaker.speak(text, due_s)
        idle.append(speaker)
        return outcome

    for _ in range(plan.requests):
        due_s += gaps.expovariate(requests_per_s)
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due_s, next(texts))))
    return list(await asyncio.gather(*tasks))


class _Speaker:
    """One connection, used for one request after another."""

    def __init__(self, socket: ClientConnection, plan: Plan, voice: str) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self._message = {
            "model_id": plan.model,
            "voice": {"mode": "id", "id": voice},
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE_HZ},
            "continue": False,
        }

    async def speak(self, text: str, due_s: float | None = None) -> Outcome:
        context_id = f"bench-{next(self._numbers)}"
        outcome = Outcome()
        arrivals: list[Arrival] = []
        start_s = time.perf_counter() if due_s is None else due_s
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await self._socket.send(json.dumps({**self._message, "context_id": context_id, "transcript": text}))
                await self._receive(context_id, start_s, outcome, arrivals)
        except TimeoutError:
            outcome.error = f"not done after {REQUEST_TIMEOUT_S:g} s"
        outcome.end_s = arrivals[-1].at_s if arrivals else time.perf_counter() - start_s
        outcome.audio_s = sum(len(arrival.pcm) for arrival in arrivals) / SAMPLE_RATE_HZ
        outcome.first_audible_s = first_audible_s(arrivals, SAMPLE_RATE_HZ)
        outcome.underruns = count_underruns(arrivals, SAMPLE_RATE_HZ)
        return outcome

    async def _receive(self, context_id: str, start_s: float, outcome: Outcome, arrivals: list[Arrival]) -> None:
        while True:
            text = await self._socket.recv()
            at_s = time.perf_counter() - start_s
            event = json.loads(text)
            if event.get("context_id") not in (context_id, None):
                continue
            if event["type"] == "chunk":
                if outcome.first_byte_s is None:
                    outcome.first_byte_s = at_s
                pcm = _samples(event["data"])
                if len(pcm) and outcome.first_playable_s is None:
                    outcome.first_playable_s = at_s
                arrivals.append(Arrival(at_s, pcm))
            elif event["type"] == "done":
                outcome.stages_ms = event.get("stage_times_ms") or {}
                if not arrivals:
                    outcome.error = "done without audio"
                return
            elif event["type"] == "error":
                outcome.error = str(event.get("message") or event.get("error"))
                return


def _samples(data: str) -> Pcm:
    return np.frombuffer(base64.b64decode(data), dtype="<i2").astype(np.float32) / np.float32(32768)


def _milliseconds(values_s: list[float | None]) -> dict[str, float] | None:
    return summary([value_s * 1000 for value_s in values_s if value_s is not None], digits=2)


def _stage_names(outcomes: list[Outcome]) -> list[str]:
    return list(dict.fromkeys(name for outcome in outcomes for name in outcome.stages_ms))


def _texts(plan: Plan) -> Iterator[str]:
    return itertools.cycle([plan.text] if plan.text else TEXTS)


def _connect(plan: Plan) -> connect:
    address = plan.url.replace("http", "ws", 1) + f"/tts/websocket?cartesia_version={API_VERSION}&stage_times=true"
    # A proxy that the environment names is meant for servers elsewhere.
    proxy: Literal[True] | None = None if _is_local(plan.url) else True
    return connect(address, additional_headers={"X-API-Key": plan.key}, proxy=proxy, max_size=None, compression=None)


def _first_voice(plan: Plan) -> str:
    headers = {"X-API-Key": plan.key, "Cartesia-Version": API_VERSION}
    request = urllib.request.Request(f"{plan.url}/voices?limit=1", headers=headers)
    handlers = [urllib.request.ProxyHandler({})] if _is_local(plan.url) else []
    with urllib.request.build_opener(*handlers).open(request, timeout=10) as response:
        listed = json.load(response)
    voices = listed["data"] if isinstance(listed, dict) else listed
    return str(voices[0]["id"])


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
