"""From predicted durations to whole frames, without drift."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.base import Phone
from models.conv_tts.config import FRAME_MS, PAUSE_STRETCH

_LONGEST_PHONE_FRAMES = 400.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The frames of one segment."""

    durations_frames: NDArray[np.int64]
    """[P]; 0 only where a length of less than a frame was asked for."""
    remainder_frames: float
    """What rounding left over, -0.5..0.5; the next segment starts with it."""


def lay_out(phones: Sequence[Phone], log_durations: NDArray[np.float64], remainder_frames: float) -> Timing:
    """Round the ends of phones, not their lengths, so that a segment is as long as predicted to half a frame.

    Args:
        phones: the segment.
        log_durations: [P], natural log of predicted frames; used where a phone has no length of its own.
        remainder_frames: from the segment before.
    """
    predicted = np.exp(np.minimum(log_durations, math.log(_LONGEST_PHONE_FRAMES)))
    pairs = zip(phones, predicted, strict=True)
    wanted = np.array([_wanted_frames(phone, float(frames)) for phone, frames in pairs])
    exact_ends = remainder_frames + np.cumsum(wanted)
    # Half up, not half to even: a length in whole frames then stays what it is, wherever it starts.
    ends = np.maximum(np.floor(exact_ends + 0.5), 0).astype(np.int64)
    durations = np.diff(ends, prepend=0)
    left_over = float(exact_ends[-1] - ends[-1]) if len(ends) else remainder_frames
    return Timing(durations, left_over)


def _wanted_frames(phone: Phone, predicted_frames: float) -> float:
    """The length of a phone before rounding."""
    if phone.duration_ms is not None:
        return phone.duration_ms / FRAME_MS
    return max(predicted_frames * PAUSE_STRETCH.get(phone.symbol, 1.0) / phone.speed, 1.0)
