"""What a listener would have had from chunks that arrived when they did. Pure: times and samples in, figures out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.base import Pcm

AUDIBLE_DBFS = -45.0
WINDOW_MS = 20
HOP_MS = 10
WINDOWS_IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """Samples that came at one moment, in seconds since the request."""

    at_s: float
    pcm: Pcm


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


def count_underruns(arrivals: Sequence[Arrival], sample_rate_hz: int) -> int:
    """How often a player without a buffer, starting with the first sample, would have run dry."""
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
    return underruns
