"""A recognizer's steps beside the worker that asks for them: as many at the same time as the recognizer takes.

A final text may take seconds on a CPU; on a thread of its own it keeps no other stream's partial text waiting.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.hearing import Hypothesis, RecognitionWindow, Recognizer
from server.engine.worker import Clock

J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class StepEnded(Generic[J]):
    """What came of a step; one that ran on a thread of its own comes back to the worker as this command."""

    jobs: Sequence[J]
    outcome: list[Hypothesis] | Exception
    took_s: float


class Steps(Generic[J]):
    """Begun by the worker, who is told of every end. Jobs are whatever the windows were made from."""

    def __init__(self, model: Recognizer, clock: Clock, post: Callable[[StepEnded[J]], None] | None) -> None:
        """``post`` hands a command to the worker, from any thread; without it a step runs while its caller waits."""
        self._model = model
        self._clock = clock
        self.parallel = model.info.parallel_steps if post is not None else 1
        """How many may run at the same time."""
        self.running = 0
        self._post = post
        self._threads = ThreadPoolExecutor(self.parallel, "descant-step") if self.parallel > 1 else None

    @property
    def free(self) -> int:
        return self.parallel - self.running

    def begin(self, jobs: Sequence[J], windows: Sequence[RecognitionWindow]) -> StepEnded[J] | None:
        """Run a step; gives its end, or None if that comes to the worker later."""
        self.running += 1
        if self._threads is None or self._post is None:
            return self._run(jobs, windows)
        post = self._post
        self._threads.submit(lambda: post(self._run(jobs, windows)))
        return None

    def ended(self) -> None:
        """To be told of each end."""
        self.running -= 1

    def _run(self, jobs: Sequence[J], windows: Sequence[RecognitionWindow]) -> StepEnded[J]:
        begin_s = self._clock()
        outcome: list[Hypothesis] | Exception
        try:
            outcome = self._model.step(windows)
        except Exception as error:
            outcome = error
        return StepEnded(jobs, outcome, self._clock() - begin_s)
