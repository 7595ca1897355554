"""From predicted durations to whole frames, without drift."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.base import Phone
from models.conv_tts.config import FRAME_MS, PAUSE_STRETCH

_LONGEST_PHONE_FRAMES = 400.0


class Remainder(NamedTuple):
    """What rounding left over of lengths that were predicted and of lengths that were asked for, in frames, -0.5..0.5.

    Kept apart, so that a thousand breaks together are as long as asked for, whatever is said between them.
    """

    predicted: float = 0.0
    asked: float = 0.0


NOTHING_LEFT = Remainder()


@dataclass(frozen=True, slots=True)
class Timing:
    """The frames of one segment."""

    durations_frames: NDArray[np.int64]
    """[P]; 0 only where a length of less than a frame was asked for."""
    remainder: Remainder
    """The next segment starts with it."""


def lay_out(phones: Sequence[Phone], log_durations: NDArray[np.float64], remainder: Remainder) -> Timing:
    """Round the ends of phones, not their lengths, so that a segment is as long as predicted to half a frame.

    Args:
        phones: the segment.
        log_durations: [P], natural log of predicted frames; used where a phone has no length of its own.
        remainder: from the segment before.
    """
    predicted = np.exp(np.minimum(log_durations, math.log(_LONGEST_PHONE_FRAMES)))
    pairs = zip(phones, predicted, strict=True)
    wanted = np.array([_wanted_frames(phone, float(frames)) for phone, frames in pairs])
    asked = np.array([phone.duration_ms is not None for phone in phones], dtype=bool)
    spoken, spoken_left = _rounded(np.where(asked, 0.0, wanted), remainder.predicted)
    fixed, fixed_left = _rounded(np.where(asked, wanted, 0.0), remainder.asked)
    return Timing(spoken + fixed, Remainder(spoken_left, fixed_left))


def _rounded(wanted_frames: NDArray[np.float64], remainder_frames: float) -> tuple[NDArray[np.int64], float]:
    """Whole frames with ends next to the wanted ones, and what is left over."""
    if not len(wanted_frames):
        return np.zeros(0, dtype=np.int64), remainder_frames
    exact_ends = remainder_frames + np.cumsum(wanted_frames)
    # Half up, not half to even: a length in whole frames then stays what it is, wherever it starts.
    ends = np.maximum(np.floor(exact_ends + 0.5), 0).astype(np.int64)
    return np.diff(ends, prepend=0), float(exact_ends[-1] - ends[-1])


def _wanted_frames(phone: Phone, predicted_frames: float) -> float:
    """The length of a phone before rounding."""
    if phone.duration_ms is not None:
        return phone.duration_ms / FRAME_MS
    return max(predicted_frames * PAUSE_STRETCH.get(phone.symbol, 1.0) / phone.speed, 1.0)
