import numpy as np
import pytest

from models.base import Pcm
from server.bench.playback import Arrival, count_underruns, first_audible_s, first_audible_sample

RATE_HZ = 24_000


def quiet(duration_s: float, level: float = 0.0) -> Pcm:
    return np.full(round(duration_s * RATE_HZ), level, dtype=np.float32)


def loud(duration_s: float) -> Pcm:
    return quiet(duration_s, 0.1)


def test_first_audible_sample() -> None:
    pcm = np.concatenate([quiet(0.1), loud(0.2)])
    first = first_audible_sample(pcm, RATE_HZ)
    assert first is not None
    # The first window that is loud enough starts at most one window early.
    assert 0.08 <= first / RATE_HZ <= 0.1


def test_a_click_is_not_audible_speech() -> None:
    short = np.concatenate([quiet(0.1), loud(0.004), quiet(0.2)])
    assert first_audible_sample(short * np.float32(0.1), RATE_HZ) is None
    assert first_audible_sample(quiet(1.0, 0.005), RATE_HZ) is None
    assert first_audible_sample(quiet(1.0, 0.0057), RATE_HZ) == 0
    assert first_audible_sample(loud(0.02), RATE_HZ) is None
    assert first_audible_sample(loud(0.03), RATE_HZ) == 0


def test_first_audible_time_is_that_of_the_chunk_that_brought_it() -> None:
    arrivals = [Arrival(0.01, quiet(0.05)), Arrival(0.02, quiet(0.05)), Arrival(0.5, loud(0.1)), Arrival(0.6, loud(0.1))]
    assert first_audible_s(arrivals, RATE_HZ) in (0.02, 0.5)
    arrivals = [Arrival(0.01, quiet(0.2)), Arrival(0.5, np.concatenate([quiet(0.05), loud(0.1)]))]
    assert first_audible_s(arrivals, RATE_HZ) == 0.5
    assert first_audible_s([Arrival(0.1, quiet(1.0))], RATE_HZ) is None
    assert first_audible_s([], RATE_HZ) is None


@pytest.mark.parametrize(
    ("moments_s", "expected"),
    [
        ([0.3], 0),
        ([0.3, 0.35, 0.4], 0),
        ([0.3, 0.4, 0.5], 0),
        ([0.3, 0.41, 0.5], 1),
        # After a gap the player starts anew: the third chunk is in time again.
        ([0.3, 0.9, 0.99], 1),
        ([0.3, 0.9, 1.2], 2),
    ],
)
def test_underruns_of_a_player_without_a_buffer(moments_s: list[float], expected: int) -> None:
    arrivals = [Arrival(at_s, loud(0.1)) for at_s in moments_s]
    assert count_underruns(arrivals, RATE_HZ) == expected


def test_empty_chunks_do_not_start_playback() -> None:
    assert count_underruns([Arrival(0.0, quiet(0)), Arrival(1.0, loud(0.1))], RATE_HZ) == 0
    assert count_underruns([], RATE_HZ) == 0
