"""A transcription without its worker: a test takes its turns, and says when each step of the model ends."""

import itertools
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from models.audio import Pcm
from models.hearing import Effort, Hypothesis, RecognitionWindow
from server.engine.hearing.session import CancelAudio, FeedAudio, FinishAudio, FlushAudio, HearingSession, SubmitAudio
from server.engine.hearing.transcription import Transcription, TranscriptionCommand
from server.requests.transcription import Transcript, TranscriptEvent, TranscriptionRequest, Turn
from tests.fakes import FakeDetector, FakeRecognizer

WAIT_S = 20.0
"""For another thread; only a test that fails waits so long."""


@dataclass(eq=False)
class HeldStep:
    """A step that the model does not end before it is told to."""

    said: list[str]
    """What is heard in each window."""
    efforts: list[Effort]
    go: threading.Event = field(default_factory=threading.Event)


class HeldRecognizer(FakeRecognizer):
    """Two of its steps may run at the same time. Steps are held once ``holds`` is set."""

    def __init__(self, *, has_drafts: bool = False, parallel_steps: int = 2) -> None:
        super().__init__()
        self.info = replace(self.info, has_drafts=has_drafts, parallel_steps=parallel_steps)
        self.holds = False
        self.begun: queue.SimpleQueue[HeldStep] = queue.SimpleQueue()

    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        if self.holds:
            step = HeldStep([self._hear(window).text for window in windows], [window.effort for window in windows])
            self.begun.put(step)
            assert step.go.wait(WAIT_S), "a test left a step of the model behind"
        return super().step(windows)


class ByHand:
    """Everything runs on the thread of the test but the steps."""

    def __init__(self, model: HeldRecognizer) -> None:
        self.model = model
        self._inbox: queue.SimpleQueue[TranscriptionCommand] = queue.SimpleQueue()
        self._now_s = 0.0
        self.activity = Transcription(
            model, FakeDetector(), lambda: self._now_s,
            on_step=lambda rows, took_s, audio_s: None,
            on_transcript=lambda is_final, latency_s, was_retried, is_cut_off: None,
            post=self._inbox.put,
        )  # fmt: skip
        self.activity.open()
        model.holds = True
        self._running: list[HeldStep] = []
        self._ids = itertools.count()

    def stream(self, **changes: object) -> "Stream":
        return Stream(self, next(self._ids), TranscriptionRequest(**{"model": "fake", "request_id": "test", **changes}))  # type: ignore[arg-type]

    def handle(self, command: TranscriptionCommand) -> None:
        """A command, and all turns up to the one that has nothing to do."""
        self.activity.handle(command)
        for _ in range(1000):
            if self.activity.turn() != 0.0:
                break
        else:
            raise AssertionError("the worker would never wait")
        for deliver in self.activity.deliveries():
            deliver()

    @property
    def running(self) -> list[HeldStep]:
        """Steps that the model has, in the order of what is heard in them: threads begin in any."""
        while len(self._running) < self.activity._steps.running:
            self._running.append(self.model.begun.get(timeout=WAIT_S))
        return sorted(self._running, key=lambda step: step.said)

    @property
    def running_texts(self) -> list[list[str]]:
        return [step.said for step in self.running]

    def end(self, *said: str) -> None:
        """End the step in which this is heard."""
        step = next(step for step in self.running if step.said == list(said))
        self._running.remove(step)
        step.go.set()
        self.handle(self._inbox.get(timeout=WAIT_S))

    def end_all(self) -> None:
        """End steps until none runs."""
        while running := self.running:
            self.end(*running[0].said)


class Stream:
    """One stream, with what its client was told."""

    def __init__(self, by_hand: ByHand, id: int, request: TranscriptionRequest) -> None:
        self._by_hand = by_hand
        self._session = HearingSession(id, request, self._take, lambda: None)
        self.events: list[TranscriptEvent] = []
        self.has_ended = False
        self.error: Exception | None = None
        by_hand.handle(SubmitAudio(self._session))

    def _take(self, events: list[TranscriptEvent], ended: bool, error: Exception | None) -> None:
        assert not self.has_ended, "told after the end"
        self.events += events
        self.has_ended, self.error = ended, error

    def feed(self, *parts: Pcm) -> None:
        for part in parts:
            self._by_hand.handle(FeedAudio(self._session, part))

    def flush(self) -> None:
        self._by_hand.handle(FlushAudio(self._session))

    def finish(self) -> None:
        self._by_hand.handle(FinishAudio(self._session))

    def cancel(self) -> None:
        self._by_hand.handle(CancelAudio(self._session))

    @property
    def texts(self) -> list[tuple[str, bool]]:
        """Each transcript, and whether it is final."""
        return [(event.text, event.is_final) for event in self.events if isinstance(event, Transcript)]

    @property
    def turn_texts(self) -> list[str]:
        return [event.transcript for event in self.events if isinstance(event, Turn)]
