"""A server that is measured from outside and looked at through its metrics page; and rows of figures with their bars."""

import asyncio
import math
import tempfile
import time
import urllib.request
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import uvloop
from prometheus_client.parser import text_string_to_metric_families

from server.bench.process import ServerProcess
from server.bench.stats import percentile
from server.bench.target import Target
from server.bench.tts_client import Outcome, Speaker

MODEL = "sonic-turbo"
SAMPLE_RATE_HZ = 24_000
LOOK_PERIOD_S = 0.3
"""A little longer than the server takes to refresh its gauges."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and the most that it may be, if there is a bar."""

    scenario: str
    figure: str
    value: float
    unit: str
    bar: float | None = None
    is_count: bool = False
    """The bar holds on any machine, however slow or busy."""

    @property
    def is_missed(self) -> bool:
        return self.bar is not None and not self.value <= self.bar


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions of all models, and the slots of those that speak."""

    active: int
    queued: int
    open: int
    slots: int
    accepted: int
    """Requests since the server started."""


@dataclass(frozen=True, slots=True)
class MeasuredServer:
    target: Target
    voice: str
    metrics_url: str
    process_id: int | None

    @property
    def address(self) -> tuple[str, int]:
        """For a plain socket."""
        where = urlsplit(self.target.url)
        return self.target.host, where.port or 80

    def sessions(self) -> Sessions:
        """What the metrics page says, up to 250 ms late. Raises OSError."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.metrics_url, timeout=30) as answer:
            page = answer.read().decode()
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]

        def total(name: str, kind: str | None = None) -> int:
            found = [s.value for s in samples if s.name == f"descant_{name}" and kind in (None, s.labels["kind"])]
            return int(sum(found))

        return Sessions(
            total("active_sessions"), total("queued_sessions"), total("open_sessions"), total("slots", "speech"),
            total("requests_total"),
        )  # fmt: skip

    async def look(self) -> Sessions:
        return await asyncio.to_thread(self.sessions)

    async def idle_after_s(self, within_s: float) -> tuple[float, Sessions]:
        """Seconds until nothing is open, infinite if that takes longer, and the last look."""
        begin_s = time.perf_counter()
        await asyncio.sleep(LOOK_PERIOD_S)  # what the page says now is as old as that
        while (seen := await self.look()).open or seen.active or seen.queued:
            if time.perf_counter() - begin_s > within_s:
                return math.inf, seen
            await asyncio.sleep(LOOK_PERIOD_S)
        return time.perf_counter() - begin_s, seen

    def speaker(self) -> Speaker:
        return Speaker(self.target, MODEL, self.voice, SAMPLE_RATE_HZ)

    def speech(self, text: str, context_id: str | None = None, sample_rate_hz: int = SAMPLE_RATE_HZ) -> dict[str, Any]:
        """The body of a request for speech, as a whole or, with an id, as the first message of a context."""
        body = {
            "model_id": MODEL,
            "transcript": text,
            "voice": {"mode": "id", "id": self.voice},
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": sample_rate_hz},
        }
        return body if context_id is None else {**body, "context_id": context_id, "continue": False}


@contextmanager
def own_server(**limits: float) -> Iterator[MeasuredServer]:
    """A server with the embedded models for the length of the block; ``limits`` as in `server.config.Limits`."""
    settings = {f"DESCANT_LIMITS__{name.upper()}": str(value) for name, value in limits.items()}
    with (
        tempfile.TemporaryDirectory() as data,
        ServerProcess.start(environment={"DESCANT_DATA_DIR": data, "DESCANT_LOG_LEVEL": "error", **settings}) as process,
    ):
        target = Target(process.url)
        yield MeasuredServer(target, target.first_voice(), process.metrics, process.process.pid)


def run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def first_byte_ms(outcomes: Sequence[Outcome], percent: float) -> float:
    """NaN without any that succeeded."""
    good = [o.first_byte_s * 1000 for o in outcomes if o.error is None and o.first_byte_s is not None]
    return percentile(good, percent)
