"""What a listener would have had from chunks that arrived when they did. Pure: times and samples in, figures out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.audio import Pcm

AUDIBLE_DBFS = -45.0
WINDOW_MS = 20
HOP_MS = 10


@dataclass(frozen=True, slots=True)
class Arrival:
    """Samples that came at one moment, in seconds since the request."""

    at_s: float
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a player without a buffer that starts with the first sample."""

    underruns: int
    """How often it ran dry."""
    ends_s: float
    """When the last sample has been played, in seconds since the request; 0 without audio."""


def first_audible_sample(pcm: Pcm, sample_rate_hz: int) -> int | None:
    """The first sample of the first two windows in a row (20 ms each, 10 ms apart) at -45 dBFS RMS or more.

    None for audio that never gets that loud, or is shorter than that.
    """
    window, hop = sample_rate_hz * WINDOW_MS // 1000, sample_rate_hz * HOP_MS // 1000
    if len(pcm) < window + hop:
        return None
    power = np.square(np.lib.stride_tricks.sliding_window_view(pcm, window)[::hop].astype(np.float64)).mean(axis=1)
    loud = power >= 10 ** (AUDIBLE_DBFS / 10)
    run = loud[1:] & loud[:-1]
    return int(run.argmax()) * hop if run.any() else None


def first_audible_s(arrivals: Sequence[Arrival], sample_rate_hz: int) -> float | None:
    """When the first audible sample arrived; None if none did."""
    if not arrivals:
        return None
    first = first_audible_sample(np.concatenate([arrival.pcm for arrival in arrivals]), sample_rate_hz)
    if first is None:
        return None
    received = 0
    for arrival in arrivals:
        received += len(arrival.pcm)
        if received > first:
            return arrival.at_s
    return None


def first_playable_s(arrivals: Sequence[Arrival], sample_rate_hz: int) -> float | None:
    """The earliest moment at which playing could start and then go on without a gap; None without audio.

    That is the arrival of the first sample for audio that keeps ahead of its player, and later by what a player would
    have had to wait for audio that does not.
    """
    starts_s: float | None = None
    received = 0
    for arrival in arrivals:
        if len(arrival.pcm):
            could_s = arrival.at_s - received / sample_rate_hz
            starts_s = could_s if starts_s is None else max(starts_s, could_s)
            received += len(arrival.pcm)
    return starts_s


def play(arrivals: Sequence[Arrival], sample_rate_hz: int) -> Played:
    """Play what arrived, as it arrived. After it has run dry, the player goes on with the next sample."""
    underruns = 0
    ends_s: float | None = None
    for arrival in arrivals:
        if not len(arrival.pcm):
            continue
        duration_s = len(arrival.pcm) / sample_rate_hz
        if ends_s is None:
            ends_s = arrival.at_s
        elif arrival.at_s > ends_s:
            underruns += 1
            ends_s = arrival.at_s
        ends_s += duration_s
    return Played(underruns, ends_s or 0.0)


def worst_gap_s(arrivals: Sequence[Arrival]) -> float | None:
    """The longest time between two arrivals of audio in a row; None for fewer than two."""
    moments_s = [arrival.at_s for arrival in arrivals if len(arrival.pcm)]
    return max((later - earlier for earlier, later in pairwise(moments_s)), default=None)
