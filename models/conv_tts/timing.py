"""From predicted durations to whole frames, without drift; from frames to lengths that were asked for, to the sample."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.audio import Pcm
from models.conv_tts.config import HOP_SAMPLES, PAUSE_STRETCH, SAMPLE_RATE_HZ
from models.speech import Phone

_LONGEST_PHONE_FRAMES = 400.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The frames of one utterance."""

    durations_frames: NDArray[np.int64]
    """[P]; 0 only where a length of 0 was asked for."""
    durations_samples: NDArray[np.int64]
    """[P]; as many as the frames hold, or less where a length was asked for."""
    remainder_frames: float
    """What rounding left over of the predicted lengths, -0.5..0.5. The next utterance starts with it."""

    @property
    def kept_samples(self) -> NDArray[np.int64]:
        """[F]; how many samples are left of each frame. What a phone has too many comes out of its middle."""
        kept = np.full(int(self.durations_frames.sum()), HOP_SAMPLES)
        spare = self.durations_frames * HOP_SAMPLES - self.durations_samples
        middles = np.cumsum(self.durations_frames) - (self.durations_frames + 1) // 2
        kept[middles[spare > 0]] -= spare[spare > 0]
        return kept


def lay_out(phones: Sequence[Phone], log_durations: NDArray[np.float64], remainder_frames: float) -> Timing:
    """Round the ends of phones, not their lengths, so that an utterance is as long as predicted to half a frame.

    Args:
        phones: the utterance.
        log_durations: [P], natural log of predicted frames; used where a phone has no length of its own.
        remainder_frames: from the utterance before.
    """
    predicted = np.exp(np.minimum(log_durations, math.log(_LONGEST_PHONE_FRAMES)))
    pairs = zip(phones, predicted, strict=True)
    wanted = np.array([_wanted_frames(phone, float(frames)) for phone, frames in pairs])
    frames, remainder_frames = _rounded(wanted, remainder_frames)
    samples = frames * HOP_SAMPLES
    for place, phone in enumerate(phones):
        if phone.duration_ms is not None:
            samples[place] = round(phone.duration_ms * SAMPLE_RATE_HZ / 1000)
            frames[place] = -(-samples[place] // HOP_SAMPLES)
    return Timing(frames, samples, remainder_frames)


def shortened(pcm: Pcm, kept_samples: NDArray[np.int64]) -> Pcm:
    """A copy of the frames with as many samples as are to be kept of each: its start fades over into its end.

    Args:
        pcm: [F * hop].
        kept_samples: [F], 1..hop.
    """
    if (kept_samples == HOP_SAMPLES).all():  # nearly always: 3 us instead of 50 for 60 frames
        return pcm.copy()
    frames = pcm.reshape(-1, HOP_SAMPLES)
    return np.concatenate([_faded_over(frame, int(kept)) for frame, kept in zip(frames, kept_samples, strict=True)])


def _faded_over(frame: Pcm, kept: int) -> Pcm:
    if kept == HOP_SAMPLES:
        return frame
    share = (np.arange(kept, dtype=np.float32) + 0.5) / kept
    return np.asarray(frame[:kept] * (1 - share) + frame[-kept:] * share, dtype=np.float32)


def _rounded(wanted_frames: NDArray[np.float64], remainder_frames: float) -> tuple[NDArray[np.int64], float]:
    """Whole frames with ends next to the wanted ones, and what is left over."""
    if not len(wanted_frames):
        return np.zeros(0, dtype=np.int64), remainder_frames
    exact_ends = remainder_frames + np.cumsum(wanted_frames)
    # Half up, not half to even: a length in whole frames then stays what it is, wherever it starts.
    ends = np.maximum(np.floor(exact_ends + 0.5), 0).astype(np.int64)
    return np.diff(ends, prepend=0), float(exact_ends[-1] - ends[-1])


def _wanted_frames(phone: Phone, predicted_frames: float) -> float:
    """The predicted length of a phone before rounding, 0 where another one was asked for."""
    if phone.duration_ms is not None:
        return 0.0
    return max(predicted_frames * PAUSE_STRETCH.get(phone.symbol, 1.0) / phone.speed, 1.0)
