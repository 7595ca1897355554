"""Load on a speaking server, in three shapes.

Closed loop: a fixed number of streams, each with one request under way at all
times. Open loop: requests start at random (Poisson) moments whether or not
earlier ones have ended, as callers do; their clock starts at the moment they were
due, so a server that falls behind cannot hide it. Paced: sessions that listen to
the end of a sentence before they ask for the next, as people on a line do.
``benchmarks/README.md`` says how the figures are defined.
"""

import asyncio
import itertools
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from server.bench.clients import LoadRefused, Start, even_parts
from server.bench.target import Target
from server.bench.texts import TEXTS
from server.bench.tts_client import TOO_MANY, Outcome, Speaker

SAMPLE_RATE_HZ = 24_000
PAUSE_S = 0.3
"""A paced session asks for its next sentence this long after the last sample of the former was played."""
SPREAD_S = 2.0
"""Paced sessions start at random moments of the first two seconds."""
LEAST_PER_STREAM = 3
"""Requests of each stream or session, however many streams there are."""


class Loop(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    PACED = "paced"


@dataclass(frozen=True, slots=True)
class SpeechLoad:
    """What to ask for and how: the share of one client process, or of all together."""

    target: Target
    model: str
    voice: str
    loop: Loop = Loop.CLOSED
    level: float = 1.0
    """Streams (closed), requests a second (open) or sessions (paced)."""
    requests: int = 40
    """At least; streams and sessions have at least three each."""
    text: str | None = None
    seed: int = 0

    @property
    def total_requests(self) -> int:
        if self.loop is Loop.OPEN:
            return self.requests
        return max(self.requests, LEAST_PER_STREAM * int(self.level))

    def shares(self, processes: int) -> list["SpeechLoad"]:
        """The load cut for so many client processes: together the same streams, or the same Poisson process."""
        if self.loop is Loop.OPEN:
            requests = even_parts(self.requests, processes)
            rate = self.level / len(requests)
            return [replace(self, level=rate, requests=count, seed=self.seed * 1000 + n) for n, count in enumerate(requests)]
        total = self.total_requests
        streams = even_parts(int(self.level), processes)
        return [
            replace(self, level=count, requests=round(total * count / int(self.level)), seed=self.seed * 1000 + index)
            for index, count in enumerate(streams)
        ]


async def speech_load(load: SpeechLoad, start: Start) -> list[Outcome]:
    """Run one share. A request per connection is sent first and not counted.

    Raises LoadRefused for a server that cannot be reached, or refuses the first
    requests for anything but want of capacity.
    """
    open_at_first = min(math.ceil(load.level) + 1, load.requests) if load.loop is Loop.OPEN else int(load.level)
    speakers = [_speaker(load, session) for session in range(open_at_first)]
    try:
        first = await asyncio.gather(*(speaker.speak(TEXTS[0]) for speaker in speakers))
        for outcome in first:
            if outcome.error is not None and outcome.status != TOO_MANY:
                raise LoadRefused(outcome.error)
        await start()
        if load.loop is Loop.CLOSED:
            return await _closed(speakers, load)
        if load.loop is Loop.OPEN:
            return await _open(speakers, load)
        return await _paced(speakers, load)
    finally:
        await asyncio.gather(*(speaker.close() for speaker in speakers), return_exceptions=True)


async def _closed(speakers: list[Speaker], load: SpeechLoad) -> list[Outcome]:
    outcomes: list[Outcome] = []
    texts, left = _texts(load), iter(range(load.total_requests))

    async def keep_going(speaker: Speaker) -> None:
        for _ in left:
            outcomes.append(await speaker.speak(next(texts)))

    await asyncio.gather(*(keep_going(speaker) for speaker in speakers))
    return outcomes


async def _open(speakers: list[Speaker], load: SpeechLoad) -> list[Outcome]:
    idle = list(speakers)
    gaps = random.Random(load.seed)
    texts = _texts(load)
    due_s = time.perf_counter()
    tasks = []

    async def one(due_s: float, text: str) -> Outcome:
        if idle:
            speaker = idle.pop()
        else:
            speaker = _speaker(load, len(speakers))
            speakers.append(speaker)
        outcome = await speaker.speak(text, due_s)
        idle.append(speaker)
        return outcome

    for _ in range(load.requests):
        due_s += gaps.expovariate(load.level)
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due_s, next(texts))))
    return list(await asyncio.gather(*tasks))


async def _paced(speakers: list[Speaker], load: SpeechLoad) -> list[Outcome]:
    outcomes: list[Outcome] = []
    texts, starts = _texts(load), random.Random(load.seed)
    sentences = math.ceil(load.total_requests / len(speakers))

    async def session(speaker: Speaker, start_s: float) -> None:
        await asyncio.sleep(start_s)
        for _ in range(sentences):
            asked_s = time.perf_counter()
            outcome = await speaker.speak(next(texts))
            outcomes.append(outcome)
            await asyncio.sleep(max(0.0, asked_s + outcome.plays_until_s + PAUSE_S - time.perf_counter()))

    # A crowd that starts at once would measure the start, again and again, since all say the same number of sentences.
    spread_s = SPREAD_S if len(speakers) > 1 else 0.0
    await asyncio.gather(*(session(speaker, starts.uniform(0.0, spread_s)) for speaker in speakers))
    return outcomes


def _speaker(load: SpeechLoad, session: int) -> Speaker:
    # The seed tells the client processes apart.
    return Speaker(load.target, load.model, load.voice, SAMPLE_RATE_HZ, session=load.seed * 100_000 + session)


def _texts(load: SpeechLoad) -> Iterator[str]:
    texts = [load.text] if load.text else TEXTS
    # Client processes begin at different texts.
    return itertools.islice(itertools.cycle(texts), load.seed % len(texts), None)
