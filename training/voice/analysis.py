"""Recordings to the voice's frame targets: pitch, spectral envelope and voicing every 5 ms.

The reverse of `models.conv_tts.vocoder`: what this finds in a recording, the vocoder turns back
into its sound. Pitch is the path of least cost through the peaks of the autocorrelation
(Boersma 1993), the envelope is pitch-synchronous (CheapTrick, Morise 2015), the voiced share of a
band is how well it repeats after one period.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from models.conv_tts.config import BAND_CENTRES_HZ, HOP_SAMPLES, SAMPLE_RATE_HZ
from training.voice.envelope import smooth_power, warped_cepstra

Floats = NDArray[np.floating[Any]]

LOWEST_F0_HZ, HIGHEST_F0_HZ = 60.0, 500.0
_PITCH_RATE_HZ = 12_000
_PITCH_CANDIDATES = 6
_VOICED_ABOVE = 0.45
_OCTAVE_COST, _JUMP_COST, _SWITCH_COST = 0.01, 0.35, 0.14
_BLOCK_FRAMES = 500
_BAND_RATE_HZ = 8000


@dataclass(frozen=True, slots=True)
class FrameTargets:
    """What the voice learns; N whole frames of 5 ms, frame n at the end of the n-th hop."""

    cepstrum: Floats
    """[N, order], natural log amplitude on the warped axis."""
    voicing: Floats
    """[N, bands], share of the power that pulses carry."""
    log_f0: Floats
    """[N], natural log of Hz, bridged by straight lines where nothing is voiced."""

    @property
    def frames(self) -> Floats:
        """[N, order + bands + 1], as `training.voice.data` stores them."""
        return np.concatenate([self.cepstrum, self.voicing, self.log_f0[:, None]], 1)


def analyse(pcm: Floats, rate_hz: int, order: int) -> FrameTargets:
    """Frame targets of a recording.

    Args:
        pcm: mono, -1..1, [S].
        rate_hz: any; below 24 kHz the envelope is continued above the recording's own band.
        order: number of warped cepstra.
    """
    pcm_24k = resampled(pcm, rate_hz, SAMPLE_RATE_HZ)
    frames = len(pcm_24k) // HOP_SAMPLES
    f0_hz = track_pitch(pcm_24k, SAMPLE_RATE_HZ)[:frames]
    centres = (np.arange(frames) + 1) * HOP_SAMPLES
    power = smooth_power(pcm_24k, centres, f0_hz, order)
    cepstrum = warped_cepstra(power, order, top_hz=min(rate_hz / 2 - 400, SAMPLE_RATE_HZ / 2))
    return FrameTargets(cepstrum, band_voicing(pcm_24k, centres, f0_hz), continuous_log_f0(f0_hz))


def resampled(pcm: Floats, rate_hz: int, to_hz: int) -> Floats:
    """Without its mean, at another rate."""
    centred = np.asarray(pcm, dtype=np.float64) - np.mean(pcm)
    return np.asarray(soxr.resample(centred, rate_hz, to_hz) if rate_hz != to_hz else centred)


def continuous_log_f0(f0_hz: Floats) -> Floats:
    """[N] Hz, 0 where unvoiced, to log F0 with gaps bridged by straight lines."""
    voiced = np.flatnonzero(f0_hz > 0)
    if len(voiced) == 0:
        return np.full(len(f0_hz), np.log(100.0))
    return np.asarray(np.interp(np.arange(len(f0_hz)), voiced, np.log(f0_hz[voiced])))


# --- pitch ----------------------------------------------------------------------


def track_pitch(pcm: Floats, rate_hz: int) -> Floats:
    """F0 in Hz every 5 ms, first at 5 ms, 0 where unvoiced: a wide search, then one around the speaker's range."""
    low = resampled(pcm, rate_hz, _PITCH_RATE_HZ)
    wide = _best_path(*_pitch_candidates(low, LOWEST_F0_HZ, HIGHEST_F0_HZ, every=2))
    voiced = wide[wide > 0]
    if len(voiced) < 10:
        return np.zeros(len(pcm) * 200 // rate_hz)
    lower, upper = np.quantile(voiced, [0.25, 0.75])  # the range of De Looze and Hirst (2008)
    return _best_path(*_pitch_candidates(low, max(LOWEST_F0_HZ, 0.7 * lower), min(HIGHEST_F0_HZ, 1.9 * upper)))


def _pitch_candidates(pcm: Floats, lowest_hz: float, highest_hz: float, every: int = 1) -> tuple[Floats, Floats]:
    """F0 and strength of the best peaks of the autocorrelation of each frame, or every second ...: both [N, candidates].
    Where F0 is 0 there is none."""
    hop = _PITCH_RATE_HZ * HOP_SAMPLES // SAMPLE_RATE_HZ
    size = int(3 * _PITCH_RATE_HZ / lowest_hz) // 2 * 2
    fft = 1 << (2 * size - 1).bit_length()
    padded = np.pad(pcm, (size // 2, size))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[hop::hop][: len(pcm) // hop : every]
    hann = np.hanning(size + 1)[:-1]
    decay = np.fft.irfft(np.abs(np.fft.rfft(hann, fft)) ** 2)[:size]
    loudest = max(float(np.abs(pcm).max()), 1e-9)
    first, last = int(_PITCH_RATE_HZ / highest_hz), min(int(_PITCH_RATE_HZ / lowest_hz) + 1, size // 2)
    f0s = np.zeros((len(windows), _PITCH_CANDIDATES))
    strengths = np.zeros_like(f0s)
    for start in range(0, len(windows), _BLOCK_FRAMES):
        block = windows[start : start + _BLOCK_FRAMES]
        framed = (block - block.mean(1, keepdims=True)) * hann
        correlation = np.fft.irfft(np.abs(np.fft.rfft(framed, fft)) ** 2)[:, :size]
        energy = correlation[:, :1] + 1e-9
        normal = correlation / energy * (decay[0] / decay.clip(decay[0] * 0.05))
        # A quiet frame is no voice, however regular: Boersma's threshold of silence.
        quiet = np.sqrt(energy[:, 0] / decay[0]) < 0.01 * loudest
        left, middle, right = normal[:, first - 1 : last - 1], normal[:, first:last], normal[:, first + 1 : last + 1]
        curve = left - 2 * middle + right
        shift = np.where(curve < 0, 0.5 * (left - right) / np.minimum(curve, -1e-9), 0).clip(-0.5, 0.5)
        height = middle - 0.25 * (left - right) * shift
        f0 = _PITCH_RATE_HZ / (np.arange(first, last) + shift)
        score = np.where((middle >= left) & (middle > right), height - _OCTAVE_COST * np.log2(highest_hz / f0), -1)
        score[quiet] = -1
        best = np.argpartition(-score, _PITCH_CANDIDATES, 1)[:, :_PITCH_CANDIDATES]
        rows = slice(start, start + len(block))
        strengths[rows] = np.take_along_axis(score, best, 1)
        f0s[rows] = np.where(strengths[rows] > 0, np.take_along_axis(f0, best, 1), 0)
    return f0s, strengths


def _best_path(f0s: Floats, strengths: Floats) -> Floats:
    """Viterbi through [N, candidates]: strong peaks, small jumps, few changes between voiced and unvoiced."""
    frames = len(f0s)
    if not frames:
        return np.zeros(0)
    # The last state is unvoiced.
    gain = np.concatenate([np.where(f0s > 0, strengths, -1e9), np.full((frames, 1), _VOICED_ABOVE)], 1)
    log2 = np.concatenate([np.log2(np.where(f0s > 0, f0s, 1)), np.zeros((frames, 1))], 1)
    states = gain.shape[1]
    unvoiced = np.arange(states) == states - 1
    switch = _SWITCH_COST * (unvoiced[:, None] != unvoiced[None])
    both = ~unvoiced[:, None] & ~unvoiced[None]
    score, back = gain[0], np.zeros((frames, states), dtype=np.int64)
    for frame in range(1, frames):
        jump = np.abs(log2[frame - 1][:, None] - log2[frame][None]) * both * _JUMP_COST * 2
        total = score[:, None] - switch - jump
        back[frame] = total.argmax(0)
        score = total.max(0) + gain[frame]
    path = np.zeros(frames, dtype=np.int64)
    path[-1] = score.argmax()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    chosen = np.concatenate([f0s, np.zeros((frames, 1))], 1)
    return np.asarray(chosen[np.arange(frames), path])


# --- voicing ----------------------------------------------------------------------


@cache
def _band_edges_hz() -> tuple[tuple[float, float], ...]:
    borders = [100.0, *((low + high) / 2 for low, high in pairwise(BAND_CENTRES_HZ)), BAND_CENTRES_HZ[-1] + 1000]
    return tuple(pairwise(borders))


def band_voicing(pcm: Floats, centres: NDArray[np.int64], f0_hz: Floats) -> Floats:
    """[N, bands]: how much of each band repeats after one period; 0 where F0 is 0.

    A band is shifted down to 0 Hz, so that its complex correlation does not care for the carrier's
    phase, which a change of pitch by 1 % already turns around at 5 kHz.

    Args:
        pcm: 24 kHz, [S].
        centres: [N], the sample of each frame.
        f0_hz: [N].
    """
    size = 1 << max(len(pcm) + SAMPLE_RATE_HZ // 10, 1).bit_length()
    spectrum = np.fft.rfft(pcm, size)
    bins_hz = np.arange(len(spectrum)) * SAMPLE_RATE_HZ / size
    kept = int(size * _BAND_RATE_HZ / SAMPLE_RATE_HZ)
    voicing = np.zeros((len(f0_hz), len(BAND_CENTRES_HZ)))
    voiced = np.flatnonzero(f0_hz > 0)
    centres_s = centres[voiced] / SAMPLE_RATE_HZ
    for band, (low_hz, high_hz) in enumerate(_band_edges_hz()):
        slope = np.clip((bins_hz - low_hz) / 150 + 0.5, 0, 1) * np.clip((high_hz - bins_hz) / 150 + 0.5, 0, 1)
        first = int(max(low_hz - 75, 0) * size / SAMPLE_RATE_HZ)
        inside = (spectrum * slope)[first : first + kept]
        baseband = np.fft.ifft(np.pad(inside, (0, kept - len(inside))))
        # Independent values in two periods: what noise repeats by chance.
        chance = f0_hz[voiced] / (2 * (high_hz - low_hz))
        squared = _repetition(baseband, centres_s, f0_hz[voiced]) ** 2
        voicing[voiced, band] = np.sqrt(((squared - chance) / (1 - chance)).clip(0, 1))
    return voicing


def _repetition(band: NDArray[np.complex128], centres_s: Floats, f0_hz: Floats) -> Floats:
    """[N]: normalised correlation of two stretches of two periods each, one period apart."""
    if not len(f0_hz):
        return np.zeros(0)
    margin = int(3 * _BAND_RATE_HZ / LOWEST_F0_HZ)
    padded = np.pad(band, margin)
    period = _BAND_RATE_HZ / f0_hz
    offsets = np.arange(int(2 * period.max()) + 1)
    inside = offsets < 2 * period[:, None]
    start = np.rint(margin + centres_s * _BAND_RATE_HZ - 1.5 * period).astype(np.int64)
    fixed = padded[start[:, None] + offsets] * inside
    best = np.zeros(len(f0_hz))
    for lag in (np.floor(period), np.ceil(period)):
        moved = padded[(start + lag.astype(np.int64))[:, None] + offsets] * inside
        energy = np.sqrt(np.square(np.abs(fixed)).sum(1) * np.square(np.abs(moved)).sum(1)) + 1e-12
        best = np.maximum(best, np.abs((fixed.conj() * moved).sum(1)) / energy)
    return best
