"""Fundamental frequency of recorded speech by autocorrelation and dynamic programming, in NumPy.

Boersma 1993, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
sampled sound": the autocorrelation of a windowed frame over that of the window, its highest peaks as candidates,
and the cheapest path through them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.audio import Pcm

Floats = NDArray[np.float64]

LOWEST_HZ, HIGHEST_HZ = 60.0, 450.0
_WINDOW_S = 3 / LOWEST_HZ
_CANDIDATES = 5
_VOICING_THRESHOLD = 0.45
_SILENCE_THRESHOLD = 0.03
_OCTAVE_COST = 0.02
_OCTAVE_JUMP_COST = 0.5
_VOICING_CHANGE_COST = 0.2


@dataclass(frozen=True, slots=True)
class PitchTrack:
    """One value per hop; T = samples // hop."""

    f0_hz: Floats
    """[T], 0 where nothing is voiced."""
    strength: Floats
    """[T], height of the best autocorrelation peak, 0..1: how periodic the frame is."""


def track_pitch(pcm: Pcm, sample_rate_hz: int, hop_samples: int) -> PitchTrack:
    """Follow the pitch of one speaker. ``pcm`` is [S]; frames are centred on multiples of the hop."""
    size = round(_WINDOW_S * sample_rate_hz)
    count = len(pcm) // hop_samples
    if count == 0 or not np.any(pcm):
        return PitchTrack(np.zeros(count), np.zeros(count))
    padded = np.pad(np.asarray(pcm, np.float64), size // 2 + size % 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop_samples][:count]
    frames = frames - frames.mean(1, keepdims=True)
    loudness = np.abs(frames).max(1) / np.abs(padded).max()
    lags, heights = _peaks(frames, size, sample_rate_hz)
    reward = np.where(lags > 0, heights - _octave_cost(np.maximum(lags, 1), sample_rate_hz), -np.inf)
    quiet = 2 - loudness / _SILENCE_THRESHOLD * (1 + _VOICING_THRESHOLD)
    unvoiced = _VOICING_THRESHOLD + np.maximum(0, quiet)
    choice = _best_path(reward, unvoiced, np.log2(np.maximum(lags, 1e-9)))
    rows = np.arange(count)
    voiced = choice < _CANDIDATES
    picked = lags[rows, np.minimum(choice, _CANDIDATES - 1)]
    f0_hz = np.where(voiced, sample_rate_hz / np.maximum(picked, 1), 0.0)
    return PitchTrack(f0_hz, np.clip(heights.max(1), 0, 1))


def _peaks(frames: Floats, size: int, sample_rate_hz: int) -> tuple[Floats, Floats]:
    """Lags in samples (0: no such peak) and heights of the highest peaks, [T, candidates] each."""
    window = np.hanning(size)
    length = 1 << (2 * size - 1).bit_length()
    shape = np.fft.irfft(np.abs(np.fft.rfft(window, length)) ** 2)
    spectrum = np.fft.rfft(frames * window, length)
    correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)
    shortest, longest = int(sample_rate_hz / HIGHEST_HZ), int(sample_rate_hz / LOWEST_HZ) + 1
    power = np.maximum(correlation[:, :1], 1e-12)
    normal = correlation[:, shortest - 1 : longest + 2] / power / (shape[shortest - 1 : longest + 2] / shape[0])
    before, middle, after = normal[:, :-2], normal[:, 1:-1], normal[:, 2:]
    peak = np.where((middle > before) & (middle >= after) & (middle > 0), middle, 0.0)
    # A high voice has more peaks than candidates, all as high as the first: the octave cost picks among them, too.
    ranked = peak - _octave_cost(np.arange(shortest, longest + 1), sample_rate_hz)
    best = np.argpartition(-np.where(peak > 0, ranked, -np.inf), _CANDIDATES, axis=1)[:, :_CANDIDATES]
    rows = np.arange(len(frames))[:, None]
    left, top, right = before[rows, best], middle[rows, best], after[rows, best]
    bend = np.minimum(left - 2 * top + right, -1e-9)
    shift = 0.5 * (left - right) / bend
    found = peak[rows, best] > 0
    heights = np.minimum(top - 0.25 * (left - right) * shift, 1.0)
    return np.where(found, best + shortest + shift, 0.0), np.where(found, heights, 0.0)


def _octave_cost(lags: Floats | NDArray[np.int64], sample_rate_hz: int) -> Floats:
    return np.asarray(_OCTAVE_COST * np.log2(lags * LOWEST_HZ / sample_rate_hz))


def _best_path(reward: Floats, unvoiced: Floats, octaves: Floats) -> NDArray[np.int64]:
    """Viterbi: index of the candidate of each frame, the number of candidates where it is unvoiced."""
    count, candidates = reward.shape
    score = np.append(reward[0], unvoiced[0])
    back = np.zeros((count, candidates + 1), np.int64)
    for frame in range(1, count):
        jump = _OCTAVE_JUMP_COST * np.abs(octaves[frame][:, None] - octaves[frame - 1][None])
        step = np.full((candidates + 1, candidates + 1), _VOICING_CHANGE_COST)
        step[:candidates, :candidates] = jump
        step[candidates, candidates] = 0.0
        total = score[None] - step
        back[frame] = total.argmax(1)
        score = total.max(1) + np.append(reward[frame], unvoiced[frame])
    path = np.empty(count, np.int64)
    path[-1] = score.argmax()
    for frame in range(count - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path
