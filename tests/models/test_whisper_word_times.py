"""Dynamic time warping and the starts of tokens, against the method spelt out place by place."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from models.whisper.word_times import token_starts, warp

Floats = NDArray[np.float32]


def warp_by_places(cost: Floats) -> float:
    """What the cheapest path costs."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            total[i, j] = cost[i - 1, j - 1] + min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
    return float(total[rows, columns])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (5, 40), (23, 150)])
def test_warp_finds_the_cheapest_path(shape: tuple[int, int]) -> None:
    for seed in range(5):
        cost = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        path = warp(cost)
        assert path[0] == (0, 0)
        assert path[-1] == (shape[0] - 1, shape[1] - 1)
        assert {(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(path)} <= {(0, 1), (1, 0), (1, 1)}
        assert sum(float(cost[place]) for place in path) == pytest.approx(warp_by_places(cost), abs=1e-4)


def test_tokens_start_where_they_are_looked_for() -> None:
    """Two heads that look at tokens of 12, 3, 20 and 5 positions, with noise."""
    rng, lengths = np.random.default_rng(3), [12, 3, 20, 5]
    weights = rng.uniform(0.0, 0.02, (2, 4, 40)).astype(np.float32)
    starts = np.cumsum([0, *lengths[:-1]])
    for token, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        weights[:, token, start : start + length] += np.float32(1 / length)
    assert np.abs(token_starts(weights) - starts).max() <= 1


def test_more_tokens_than_positions() -> None:
    starts = token_starts(np.full((1, 5, 3), 1 / 3, np.float32)).tolist()
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert starts[-1] <= 2
