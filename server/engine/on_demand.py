"""Models that leave memory after a while without sessions, and come back for the next one.

To the worker that owns it such a model is like any other: its calls wait until it is there. When it leaves and
comes is decided on the event loop (`Residence`); loading runs in a thread of its own, so nothing else waits for it.
"""

import asyncio
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from models.hearing import Hypothesis, RecognitionWindow, Recognizer
from models.speech import DEFAULT_GENERATION, Generation, SpeechFrames, Synthesizer, Utterance
from models.voices import Voice
from server.engine.worker import Clock, default_clock
from server.errors import ModelUnavailable
from server.requests.speech import StageTimes

M = TypeVar("M")

RETRY_AFTER_FAILURE_S = 5.0

log = logging.getLogger("descant.engine")


class OnDemand(Generic[M]):
    """A loaded model and how to load it again. `use` and `leave` may be called from any thread."""

    def __init__(
        self,
        name: str,
        model: M,
        load: Callable[[], M],
        on_leaving: Callable[[Callable[[], bool]], None],
        *,
        idle_s: float,
        load_s: float,
        max_load_s: float,
    ) -> None:
        """``on_leaving`` gets, for one call, what drops the model and says whether nothing else held it. The model stays for
        ``idle_s`` seconds without sessions. ``load_s``: what loading took; requests wait for it if it takes at most
        ``max_load_s``."""
        self.name = name
        self.idle_s = idle_s
        self.load_s = load_s
        self.max_load_s = max_load_s
        self._model: M | None = model
        self._load = load
        self._on_leaving = on_leaving
        self._lock = threading.Lock()
        """Held while the model is loaded or dropped."""
        self.waiting: list[StageTimes] = []
        """Those of requests that wait for it, to be told when it is there."""
        self._failed_s = -math.inf
        """When loading failed last."""

    @property
    def in_memory(self) -> bool:
        return self._model is not None

    @property
    def is_used(self) -> bool:
        """Whether it holds the state of a session."""
        return False

    def use(self) -> M:
        """The model; loads it, or waits for who does, where it is not there. Raises ModelUnavailable where that fails, for a
        few seconds without trying again."""
        with self._lock:
            if self._model is None:
                self._model = self._loaded()
            return self._model

    def _loaded(self) -> M:
        begin_s = time.monotonic()
        model = self._load_or_log() if begin_s - self._failed_s >= RETRY_AFTER_FAILURE_S else None
        if model is None:
            # Raised here, not where loading failed: that error would keep alive what was loaded of the model.
            message = f"model {self.name} cannot be loaded at the moment; the server's log says why"
            raise ModelUnavailable(message, retry_after_s=RETRY_AFTER_FAILURE_S)
        self.load_s = time.monotonic() - begin_s
        waiting, self.waiting = self.waiting, []
        for times in waiting:
            times.loaded_s = default_clock()  # here, not on the event loop: there the first audio could come sooner
        return model

    def _load_or_log(self) -> M | None:
        try:
            return self._load()
        except Exception:
            log.exception("model %s cannot be loaded again", self.name)
            self._failed_s = time.monotonic()
            return None

    def leave(self) -> bool:
        """Drop the model; False where that cannot be now."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._model is None or self.is_used:
                return False
            self._on_leaving(self._drop)
        finally:
            self._lock.release()
        return True

    def _drop(self) -> bool:
        dropped = weakref.ref(self._model)
        self._model = None
        return dropped() is None


class OnDemandSynthesizer(OnDemand[Synthesizer]):
    """Implements `models.speech.Synthesizer`."""

    def __init__(self, name: str, model: Synthesizer, *arguments: Any, **options: Any) -> None:
        super().__init__(name, model, *arguments, **options)
        self.info = model.info
        self._slots: set[int] = set()

    @property
    def is_used(self) -> bool:
        return bool(self._slots)

    def admit(self, slot: int, voice: Voice, generation: Generation = DEFAULT_GENERATION) -> None:
        self._slots.add(slot)  # before the model is asked for, so that it stays
        try:
            self.use().admit(slot, voice, generation)
        except BaseException:
            self._slots.discard(slot)
            raise

    def feed(self, slot: int, utterance: Utterance) -> None:
        self.use().feed(slot, utterance)

    def step(self, slots: Sequence[int]) -> list[SpeechFrames]:
        return self.use().step(slots)

    def release(self, slot: int) -> None:
        if slot in self._slots:
            self.use().release(slot)
            self._slots.discard(slot)


class OnDemandRecognizer(OnDemand[Recognizer]):
    """Implements `models.hearing.Recognizer`."""

    def __init__(self, name: str, model: Recognizer, *arguments: Any, **options: Any) -> None:
        super().__init__(name, model, *arguments, **options)
        self.info = model.info

    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        return self.use().step(windows)


class Residence:
    """Sends models away that nobody uses, and calls them back. Event loop only."""

    def __init__(self, models: Mapping[str, OnDemand[Any]], clock: Clock) -> None:
        self._models = models
        self._clock = clock
        self._loading: dict[str, tuple[float, asyncio.Task[None]]] = {}
        """Since when."""
        self._idle_since_s: dict[str, float] = {}
        self._leaving: set[asyncio.Task[bool]] = set()

    def in_memory(self, name: str) -> bool:
        model = self._models.get(name)
        return model is None or model.in_memory

    def call(self, name: str) -> None:
        """Before a session is opened: begin to load its model if it is not there.

        Raises ModelUnavailable where that takes longer than requests are to wait.
        """
        model = self._models.get(name)
        self._idle_since_s.pop(name, None)
        if model is None or (model.in_memory and name not in self._loading):
            return
        if name not in self._loading:
            self._loading[name] = self._clock(), asyncio.create_task(self._load(name, model))
        left_s = model.load_s - (self._clock() - self._loading[name][0])
        if left_s > model.max_load_s:
            raise ModelUnavailable(
                f"model {name} comes back to memory, in about {left_s:.0f} s; requests wait {model.max_load_s:g} s at most "
                "(limits.max_model_load_s)",
                retry_after_s=max(1.0, left_s),
            )

    def time(self, name: str, times: StageTimes) -> None:
        """Have noted in ``times`` when a model that is being loaded is there."""
        if name in self._loading and not self._models[name].in_memory:
            self._models[name].waiting.append(times)

    def look(self, open_sessions: Mapping[str, int]) -> None:
        """From time to time: send away who has been without sessions for long."""
        now_s = self._clock()
        for name, model in self._models.items():
            if open_sessions[name] or name in self._loading or not model.in_memory:
                self._idle_since_s.pop(name, None)
            elif now_s - self._idle_since_s.setdefault(name, now_s) >= model.idle_s:
                del self._idle_since_s[name]
                # Gigabytes are given back in a thread: it takes a while.
                task = asyncio.create_task(asyncio.to_thread(model.leave))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    async def stop(self) -> None:
        for _, task in list(self._loading.values()):
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _load(self, name: str, model: OnDemand[Any]) -> None:
        try:
            await asyncio.to_thread(model.use)
        except ModelUnavailable:
            pass  # whoever needs the model is told by its worker
        finally:
            del self._loading[name]
