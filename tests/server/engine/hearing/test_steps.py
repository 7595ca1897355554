"""Steps of a recognizer: within the call, or on threads beside it."""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.hearing import Hypothesis, RecognitionWindow
from server.engine.hearing.steps import StepEnded, Steps
from tests.fakes import FakeRecognizer, ModelFault, speech
from tests.server.engine.hearing.by_hand import WAIT_S


def window(*words: int) -> RecognitionWindow:
    return RecognitionWindow(speech(*words))


class Meeting(FakeRecognizer):
    """A step ends only once another one has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, parallel_steps=2)
        self.barrier = threading.Barrier(2)
        self.threads: set[str] = set()

    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        self.threads.add(threading.current_thread().name)
        self.barrier.wait(WAIT_S)
        return super().step(windows)


def texts(step: StepEnded[str] | None) -> list[str]:
    assert step is not None
    assert isinstance(step.outcome, list)
    return [hypothesis.text for hypothesis in step.outcome]


class TestWithinTheCall:
    @pytest.fixture
    def clock(self) -> Iterator[float]:
        return iter(range(100))

    def steps(self, model: FakeRecognizer, clock: Iterator[float]) -> Steps[str]:
        return Steps(model, lambda: next(clock), None)

    def test_the_end_is_what_beginning_gives(self, clock: Iterator[float]) -> None:
        steps = self.steps(FakeRecognizer(), clock)
        ended = steps.begin(["first", "second"], [window(1, 2), window(3)])
        assert texts(ended) == ["one two", "three"]
        assert ended is not None
        assert (ended.jobs, ended.took_s) == (["first", "second"], 1.0)

    def test_one_at_a_time_whatever_the_model_can(self, clock: Iterator[float]) -> None:
        model = FakeRecognizer()
        model.info = replace(model.info, parallel_steps=4)
        steps = self.steps(model, clock)
        assert (steps.parallel, steps.free, steps.running) == (1, 1, 0)
        steps.begin(["first"], [window(1)])
        assert (steps.free, steps.running) == (0, 1)
        steps.ended()
        assert (steps.free, steps.running) == (1, 0)

    def test_what_the_model_raises_is_the_outcome(self, clock: Iterator[float]) -> None:
        model = FakeRecognizer()
        model.fault_level = 0.85
        ended = self.steps(model, clock).begin(["first"], [window(9)])
        assert ended is not None
        assert isinstance(ended.outcome, ModelFault)
        assert ended.jobs == ["first"]


class TestOnThreads:
    @pytest.fixture
    def posted(self) -> "queue.SimpleQueue[StepEnded[str]]":
        return queue.SimpleQueue()

    def test_two_run_at_the_same_time_and_each_comes_back(self, posted: "queue.SimpleQueue[StepEnded[str]]") -> None:
        model = Meeting()
        steps: Steps[str] = Steps(model, lambda: 0.0, posted.put)
        assert (steps.parallel, steps.free) == (2, 2)
        assert steps.begin(["first"], [window(1)]) is None
        assert (steps.free, steps.running) == (1, 1)
        assert steps.begin(["second"], [window(2), window(3)]) is None
        assert (steps.free, steps.running) == (0, 2)
        ended = {step.jobs[0]: step for step in (posted.get(timeout=WAIT_S), posted.get(timeout=WAIT_S))}
        assert (texts(ended["first"]), texts(ended["second"])) == (["one"], ["two", "three"])
        assert len(model.threads) == 2
        assert threading.current_thread().name not in model.threads

    def test_a_step_runs_until_its_end_was_told(self, posted: "queue.SimpleQueue[StepEnded[str]]") -> None:
        model = FakeRecognizer()
        model.info = replace(model.info, parallel_steps=2)
        steps: Steps[str] = Steps(model, lambda: 0.0, posted.put)
        steps.begin(["first"], [window(1)])
        posted.get(timeout=WAIT_S)
        assert (steps.free, steps.running) == (1, 1)
        steps.ended()
        assert (steps.free, steps.running) == (2, 0)

    def test_what_the_model_raises_comes_back_and_the_thread_goes_on(self, posted: "queue.SimpleQueue[StepEnded[str]]") -> None:
        model = FakeRecognizer()
        model.info = replace(model.info, parallel_steps=2)
        model.fault_level = 0.85
        steps: Steps[str] = Steps(model, lambda: 0.0, posted.put)
        for _ in range(3):
            steps.begin(["bad"], [RecognitionWindow(np.ones(16_000, np.float32))])
            step = posted.get(timeout=WAIT_S)
            steps.ended()
            assert isinstance(step.outcome, ModelFault)
        steps.begin(["good"], [window(4)])
        assert texts(posted.get(timeout=WAIT_S)) == ["four"]

    def test_a_model_that_takes_one_at_a_time_runs_within_the_call(self, posted: "queue.SimpleQueue[StepEnded[str]]") -> None:
        steps: Steps[str] = Steps(FakeRecognizer(), lambda: 0.0, posted.put)
        assert texts(steps.begin(["first"], [window(1)])) == ["one"]
        assert posted.empty()
