"""Test signals and how to cut them."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from models.audio import Pcm


def tone(frequency_hz: float, sample_rate_hz: int, duration_s: float = 1.0, amplitude: float = 0.5) -> Pcm:
    times_s = np.arange(round(sample_rate_hz * duration_s)) / sample_rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)


def noise(samples: int, seed: int = 0, amplitude: float = 0.3) -> Pcm:
    generator = np.random.default_rng(seed)
    return (amplitude * generator.uniform(-1, 1, samples)).astype(np.float32)


def level_db(pcm: Pcm) -> float:
    """Root mean square relative to full scale."""
    return float(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-20))


def cut(pcm: Pcm, sizes: list[int]) -> Iterator[Pcm]:
    """Pieces of the given sizes, again and again, until the end; a size of 0 gives an empty piece."""
    start = turn = 0
    while start < len(pcm):
        size = sizes[turn % len(sizes)]
        yield pcm[start : start + size]
        start += size
        turn += 1


cuts = st.lists(st.integers(0, 700), min_size=1, max_size=6).filter(any)
"""Piece sizes for `cut`."""
