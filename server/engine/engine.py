"""The models as the event loop sees them: both APIs go through it, nothing else calls a model."""

import asyncio
import itertools
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.hearing import Recognizer, SpeechDetector
from models.speech import Synthesizer
from server.engine.hearing.hearer import Hearer
from server.engine.hearing.stream import TranscriptStream
from server.engine.interface import ServedModel
from server.engine.limits import EngineLimits
from server.engine.on_demand import OnDemand, Residence
from server.engine.speech.speaker import Speaker
from server.engine.speech.stream import SpeechStream
from server.engine.speech.text_feed import FrontEnd, TextCommand, TextFeed
from server.engine.worker import Clock, Worker, default_clock
from server.errors import InvalidRequest, ShuttingDown
from server.metrics import Metrics
from server.requests.speech import SpeechRequest
from server.requests.transcription import TranscriptionRequest

log = logging.getLogger("descant.engine")

LAG_PERIOD_S = 0.05
SNAPSHOT_PERIODS = 5
"""The gauges are set after so many looks at the lag of the event loop."""

SWITCH_INTERVAL_S = 0.001
"""How long a thread may keep the interpreter while another one wants it; Python's own value is 5 ms. Each operation of
the model gives it up and takes it back, and so lost up to that much beside the text thread: a step alone took 3.3 ms,
18.7 ms beside a busy text thread, and 9.5 ms with this value, for a sixth less text."""


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One model at one moment. ``active`` sessions hold a slot, ``queued`` ones wait for one, ``open`` counts all."""

    kind: str
    model: str
    device: str
    slots: int
    active: int
    queued: int
    open: int


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    ready: bool
    draining: bool
    models: tuple[ModelSnapshot, ...]

    @property
    def active_sessions(self) -> int:
        return sum(model.active for model in self.models)

    @property
    def queued_sessions(self) -> int:
        return sum(model.queued for model in self.models)

    @property
    def open_sessions(self) -> int:
        return sum(model.open for model in self.models)


class Engine:
    """One worker thread per model and one for text. Lives on the event loop that called `start`."""

    def __init__(
        self,
        *,
        synthesizers: Mapping[str, Synthesizer],
        recognizers: Mapping[str, Recognizer],
        detector: SpeechDetector,
        front_end: FrontEnd,
        limits: EngineLimits,
        metrics: Metrics,
        clock: Clock = default_clock,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._started = False
        self._draining = False
        self._session_ended = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        ids = itertools.count(1)
        self._text: Worker[TextCommand] = Worker("text", TextFeed(front_end, clock))
        self._speakers = {
            name: Speaker(name, model, front_end, limits, metrics, clock, ids, self._text.post, self._session_ended.set)
            for name, model in synthesizers.items()
        }
        self._hearers = {
            name: Hearer(name, model, detector, limits, metrics, clock, ids, self._session_ended.set)
            for name, model in recognizers.items()
        }
        self._owners: tuple[Speaker | Hearer, ...] = (*self._speakers.values(), *self._hearers.values())
        on_demand = {
            name: model for name, model in (*synthesizers.items(), *recognizers.items()) if isinstance(model, OnDemand)
        }
        self._residence = Residence(on_demand, clock)

    async def start(self) -> None:
        """Start all threads and warm the models; `ready` is true when this returns. Raises what a model raised."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        await self._text.start()
        for owner in self._owners:
            await owner.start()
        self._watch = asyncio.create_task(self._watch_loop())
        self._started = True

    async def stop(self, drain_s: float) -> None:
        """Take nothing new, let running streams finish for up to ``drain_s`` seconds, end the rest with ShuttingDown."""
        self._draining = True
        try:
            async with asyncio.timeout(drain_s):
                while self.snapshot().open_sessions:
                    self._session_ended.clear()
                    await self._session_ended.wait()
        except TimeoutError:
            log.warning("%d sessions were still open after %.1f s of draining", self.snapshot().open_sessions, drain_s)
        for owner in self._owners:
            owner.end_all(ShuttingDown("the server is shutting down"))
        await self._text.stop()
        for owner in self._owners:
            await owner.stop()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._residence.stop()
        await asyncio.sleep(0)

    @property
    def ready(self) -> bool:
        return self._started and not self._draining

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """The models, those that speak first, each kind in the order of the settings."""
        return tuple(replace(owner.served, in_memory=self._residence.in_memory(owner.name)) for owner in self._owners)

    def speak(self, request: SpeechRequest) -> SpeechStream:
        """Open a context. Raises Busy, ModelUnavailable (with retry_after_s) or ShuttingDown before anything is sent."""
        self._refuse_unless_ready()
        speaker = self._speakers.get(request.model)
        if speaker is None:
            raise InvalidRequest.choice("model_id", request.model, sorted(self._speakers))
        self._residence.call(request.model)
        stream = speaker.open(request)
        self._residence.time(request.model, stream.times)
        return stream

    def transcribe(self, request: TranscriptionRequest) -> TranscriptStream:
        """Open an audio stream. Raises Busy, ModelUnavailable (with retry_after_s) or ShuttingDown before anything is taken."""
        self._refuse_unless_ready()
        hearer = self._hearers.get(request.model)
        if hearer is None:
            raise InvalidRequest.choice("model", request.model, sorted(self._hearers))
        self._residence.call(request.model)
        return hearer.open(request)

    def snapshot(self) -> EngineSnapshot:
        speech = [
            ModelSnapshot("speech", s.name, s.device, s.slots, s.active, s.queued, s.open_sessions)
            for s in self._speakers.values()
        ]
        hearing = [
            ModelSnapshot("transcription", h.name, h.device, h.slots, h.open_sessions, 0, h.open_sessions)
            for h in self._hearers.values()
        ]
        return EngineSnapshot(self.ready, self._draining, (*speech, *hearing))

    def _refuse_unless_ready(self) -> None:
        if self._draining:
            raise ShuttingDown("the server is shutting down", retry_after_s=5.0)
        if not self._started:
            raise ShuttingDown("the server is starting", retry_after_s=1.0)

    async def _watch_loop(self) -> None:
        """Keep the gauges fresh, and measure how late the loop wakes."""
        while True:
            for model in self.snapshot().models:
                self._metrics.set_sessions(
                    model.kind, model.model, slots=model.slots, active=model.active, queued=model.queued, open=model.open
                )
            self._residence.look({owner.name: owner.open_sessions for owner in self._owners})
            for _ in range(SNAPSHOT_PERIODS):
                asleep_s = self._clock()
                await asyncio.sleep(LAG_PERIOD_S)
                self._metrics.record_loop_lag(self._clock() - asleep_s - LAG_PERIOD_S)
