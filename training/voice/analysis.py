"""Recordings to the voice's frame targets: pitch, spectral envelope and voicing every 5 ms.

The reverse of `models.conv_tts.vocoder`: what this finds in a recording, the vocoder turns back
into its sound. The envelope is pitch-synchronous (CheapTrick, Morise 2015), the voiced share of a
band is how well it repeats after one period.
"""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from models.conv_tts.config import BAND_CENTRES_HZ, HOP_SAMPLES, SAMPLE_RATE_HZ
from models.pitch import LOWEST_HZ, track_pitch
from training.voice.acoustics import GRID_HZ, continuous_log_f0, to_cepstra, with_air
from training.voice.envelope import smooth_power

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

_PITCH_RATE_HZ = 12_000
_PITCH_HOP = _PITCH_RATE_HZ * HOP_SAMPLES // SAMPLE_RATE_HZ
_BAND_RATE_HZ = 8000
_NOISE_NEPER = 0.12
"""The mean log of what is averaged over a few independent values of noise is that much below the log of their mean."""


def analyse(pcm: Floats, rate_hz: int, order: int) -> tuple[Doubles, Doubles, Doubles]:
    """The targets of a recording, as `acoustics.translate` gives those of a teacher: cepstra [N, order],
    voicing [N, bands] and continuous log F0 [N]; frame n lies at the end of the n-th 5 ms.

    Args:
        pcm: mono, -1..1, [S].
        rate_hz: any; what lies above half of it is filled in.
        order: number of warped cepstra.
    """
    pcm_24k = resampled(pcm, rate_hz, SAMPLE_RATE_HZ)
    frames = len(pcm_24k) // HOP_SAMPLES
    centres = (np.arange(frames) + 1) * HOP_SAMPLES
    low = np.pad(resampled(pcm_24k, SAMPLE_RATE_HZ, _PITCH_RATE_HZ), (0, 2 * _PITCH_HOP))
    f0_hz = track_pitch(low.astype(np.float32), _PITCH_RATE_HZ, _PITCH_HOP).f0_hz[1 : frames + 1]
    power = smooth_power(pcm_24k, centres, f0_hz, order)
    log_amplitude = 0.5 * np.log(power) + np.where(f0_hz > 0, 0, _NOISE_NEPER)[:, None]
    if rate_hz < SAMPLE_RATE_HZ:
        # The resampler's slope takes the last 5 %.
        inside = 0.475 * rate_hz > GRID_HZ
        log_amplitude[:, ~inside] = log_amplitude[:, inside][:, -1:]
        log_amplitude = with_air(log_amplitude)
    return to_cepstra(log_amplitude, order), band_voicing(pcm_24k, centres, f0_hz), continuous_log_f0(f0_hz)


def resampled(pcm: Floats, rate_hz: int, to_hz: int) -> Floats:
    """Without its mean, at another rate."""
    centred = np.asarray(pcm, dtype=np.float64) - np.mean(pcm)
    return np.asarray(soxr.resample(centred, rate_hz, to_hz) if rate_hz != to_hz else centred)


@cache
def _band_edges_hz() -> tuple[tuple[float, float], ...]:
    borders = [100.0, *((low + high) / 2 for low, high in pairwise(BAND_CENTRES_HZ)), BAND_CENTRES_HZ[-1] + 500]
    return tuple(pairwise(borders))


def band_voicing(pcm: Floats, centres: NDArray[np.int64], f0_hz: Floats) -> Doubles:
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
    margin = int(3 * _BAND_RATE_HZ / LOWEST_HZ)
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
