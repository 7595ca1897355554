"""The measure of clones: ranks by judges that are known, and a smoke run of the whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.cloning import rank, table
from benchmarks.speaker_judges import judges, spread_out
from models.audio import Pcm

KNOWN = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (-1.0, 0.2)}


def waves(points: dict[str, tuple[float, float]]) -> dict[str, list[Pcm]]:
    """Each is its own point, twice."""
    return {name: [np.array(point, np.float32)] * 2 for name, point in points.items()}


def itself(pcm: Pcm) -> NDArray[np.float64]:
    return pcm.astype(np.float64)


def test_ranks() -> None:
    row = rank(itself, waves(KNOWN), waves({"a": (0.9, 0.1), "b": (0.8, 0.4)}), scaled=False)
    assert row["clone_nearest_to_own_speaker"] == row["also_among_stock_voices"] == 1
    assert row["speaker_nearest_to_own_clone"] == 2
    assert row["mistaken_for"] == {"b": "a"}
    stock = rank(itself, waves({**KNOWN, "stock": (0.6, 0.4)}), waves({"a": (0.5, 0.4), "b": (0.1, 0.9)}), scaled=False)
    assert stock["clone_nearest_to_own_speaker"] == 2
    assert stock["mistaken_for"] == {"a": "stock"}
    shown = table(
        {"judges": {"itself": row}, "clones": 2, "wer_percent_clones": 1, "wer_percent_stock": 2, "clone_cpu_s_max": 3}
    )
    assert "b for a" in shown
    assert "2/2" in shown


def test_coordinates_count_alike_when_spread_out() -> None:
    points = {name: [np.array([1000 * x, y])] for name, (x, y) in KNOWN.items()}
    normal = spread_out(points)
    for name, rows in points.items():
        assert max(points, key=lambda other: float(normal(points[other][0]) @ normal(rows[0]))) == name


def test_judges_know_the_same_tone_again() -> None:
    time_s = np.arange(32_000) / 16_000
    rng = np.random.default_rng(1)

    def tones(f0_hz: float, tilt: float) -> Pcm:
        partials = [np.sin(2 * np.pi * f0_hz * n * time_s + rng.uniform(0, 6)) / n**tilt for n in range(1, 20)]
        return np.asarray(0.05 * np.sum(partials, axis=0), np.float32)

    for name, judge in judges().items():
        if name == "cepstra":
            continue  # comparable only within a set, see `spread_out`
        low, again, high = (judge(tones(*kind)) for kind in ((110, 1.0), (112, 1.0), (240, 0.5)))
        assert low @ again > low @ high + 0.02, name


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_smoke(repository: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.cloning", "--smoke"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, cwd=repository, env=environment, timeout=280)
    assert result.returncode == 0, result.stderr
    line = json.loads(result.stdout.splitlines()[-1])
    assert line["clones"] == 2
    assert line["judges"]["encoder"]["speaker_nearest_to_own_clone"] == 2
