"""Several threads in one recognizer at the same time."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from models.hearing import Effort, Hypothesis, RecognitionWindow
from models.whisper.model import load
from tests.models.whisper_checkpoints import write_random_checkpoint


def set_cores(monkeypatch: pytest.MonkeyPatch, cores: int, threads: int = 1) -> None:
    monkeypatch.setattr("models.whisper.ctranslate2_engine.usable_cores", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("random"), seed=3, sharpness=9.0)


@pytest.mark.parametrize(
    ("cores", "threads", "parallel"), [(1, 1, 1), (4, 1, 4), (4, 2, 2), (5, 2, 2), (2, 4, 1), (64, 1, 8), (64, 32, 2)]
)
def test_ctranslate2_takes_as_many_steps_as_there_are_cores_for(
    cores: int, threads: int, parallel: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cores(monkeypatch, cores, threads)
    recognizer = load("cpu", 4, folder, engine="ctranslate2")
    assert recognizer.info.parallel_steps == parallel


def test_torch_takes_one(folder: Path) -> None:
    assert load("cpu", 4, folder, engine="torch").info.parallel_steps == 1


def chord(seed: int, seconds: float, **changes: object) -> RecognitionWindow:
    """Tones that come and go: random weights make more of them than of noise."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * 16_000)) / 16_000
    hz, beats = rng.uniform(100, 4000, (6, 1)), rng.uniform(1, 5, (6, 1))
    tones = np.sin(2 * np.pi * hz * time) * (np.sin(2 * np.pi * beats * time) > 0)
    return RecognitionWindow(0.1 * tones.sum(0).astype(np.float32), **changes)  # type: ignore[arg-type]


BATCHES = (
    [chord(0, 1.0, want_words=True), chord(1, 2.5, effort=Effort.DRAFT)],
    [chord(2, 1.7, prefix="as I was saying", want_words=True)],
    [chord(3, 0.9, keyterms=("Descant", "a murmuration")), chord(4, 2.2, effort=Effort.LIVE)],
    [chord(5, 1.3, keyterms=("Descant", "a murmuration"), want_words=True)],
)
"""The last two need the decoder in torch, which is loaded with the first of them."""


def what_counts(hypotheses: list[Hypothesis]) -> list[tuple[str, list[str], bool]]:
    return [(one.text, [word.word for word in one.words], one.truncated) for one in hypotheses]


def test_steps_at_the_same_time_give_the_texts_of_steps_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_cores(monkeypatch, len(BATCHES))
    alone = load("cpu", 4, folder, engine="ctranslate2")
    expected = [what_counts(alone.step(batch)) for batch in BATCHES]
    assert all(a != b for a, b in itertools.combinations(expected, 2)), "they say the same, so the test shows nothing"

    shared = load("cpu", 4, folder, engine="ctranslate2")
    barrier = threading.Barrier(len(BATCHES))

    def step(batch: list[RecognitionWindow]) -> list[Hypothesis]:
        barrier.wait(60)
        return shared.step(batch)

    with ThreadPoolExecutor(len(BATCHES)) as threads:
        for _ in range(3):
            assert [what_counts(heard) for heard in threads.map(step, BATCHES)] == expected
