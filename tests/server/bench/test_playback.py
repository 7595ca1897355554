import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audio import Pcm
from server.bench.playback import (
    Arrival,
    first_audible_s,
    first_audible_sample,
    first_playable_s,
    play,
    worst_gap_s,
)

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
    ("moments_s", "underruns", "ends_s", "playable_s"),
    [
        ([0.3], 0, 0.4, 0.3),
        ([0.3, 0.35, 0.4], 0, 0.6, 0.3),
        ([0.3, 0.4, 0.5], 0, 0.6, 0.3),
        ([0.3, 0.41, 0.5], 1, 0.61, 0.31),
        # After a gap the player starts anew: the third chunk is in time again.
        ([0.3, 0.9, 0.99], 1, 1.1, 0.8),
        ([0.3, 0.9, 1.2], 2, 1.3, 1.0),
    ],
)
def test_a_player_without_a_buffer(moments_s: list[float], underruns: int, ends_s: float, playable_s: float) -> None:
    arrivals = [Arrival(at_s, loud(0.1)) for at_s in moments_s]
    played = play(arrivals, RATE_HZ)
    assert played.underruns == underruns
    assert played.ends_s == pytest.approx(ends_s)
    assert first_playable_s(arrivals, RATE_HZ) == pytest.approx(playable_s)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 4000)), min_size=1, max_size=20))
def test_who_starts_at_the_first_playable_moment_never_runs_dry(pieces: list[tuple[float, int]]) -> None:
    moments_s = np.cumsum([gap_s for gap_s, _ in pieces])
    arrivals = [Arrival(float(at_s), quiet(count / RATE_HZ)) for at_s, (_, count) in zip(moments_s, pieces, strict=True)]
    starts_s = first_playable_s(arrivals, RATE_HZ)
    assert starts_s is not None
    received = 0
    for arrival in arrivals:
        assert arrival.at_s <= starts_s + received / RATE_HZ + 1e-9
        received += len(arrival.pcm)
    # Nothing is waited for where nothing would have run dry.
    if play(arrivals, RATE_HZ).underruns == 0:
        assert starts_s == pytest.approx(arrivals[0].at_s, abs=1e-6)


def test_empty_chunks_do_not_start_playback() -> None:
    arrivals = [Arrival(0.0, quiet(0)), Arrival(1.0, loud(0.1))]
    assert play(arrivals, RATE_HZ).underruns == 0
    assert first_playable_s(arrivals, RATE_HZ) == 1.0
    assert worst_gap_s(arrivals) is None
    assert (play([], RATE_HZ).ends_s, first_playable_s([], RATE_HZ)) == (0.0, None)


def test_worst_gap() -> None:
    assert worst_gap_s([Arrival(at_s, loud(0.1)) for at_s in (0.1, 0.2, 0.5, 0.6)]) == pytest.approx(0.3)
