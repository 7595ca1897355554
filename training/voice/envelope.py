"""Spectral envelopes of recorded speech, pitch-synchronous."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.conv_tts.config import CEPSTRUM_WARP, SAMPLE_RATE_HZ
from training.voice.acoustics import GRID_HZ

Floats = NDArray[np.floating[Any]]

_FFT = 2048
_BINS_HZ = np.arange(_FFT // 2 + 1) * SAMPLE_RATE_HZ / _FFT
_UNVOICED_F0_HZ = 250.0
"""Unvoiced frames are seen through three periods of this: 12 ms."""
_FLOOR = 10 ** (-90 / 10)
"""Of power, full scale being 1: digital silence is given this."""
_BLOCK_FRAMES = 400


def warped_angle(frequency_hz: Floats) -> Floats:
    """Radians on the cepstrum's warped axis."""
    omega = 2 * np.pi * frequency_hz / SAMPLE_RATE_HZ
    return np.asarray(omega + 2 * np.arctan2(CEPSTRUM_WARP * np.sin(omega), 1 - CEPSTRUM_WARP * np.cos(omega)))


def smooth_power(pcm: Floats, centres: NDArray[np.int64], f0_hz: Floats, order: int) -> NDArray[np.float64]:
    """[N, points]: power at 24 kHz without the harmonics at `acoustics.GRID_HZ`; white noise of power 1 gives 1.

    As in CheapTrick (Morise 2015): a window of three periods, the power averaged over two thirds of F0; but what is
    missing below F0 is not filled up, because the vocoder's pulses would sound it as 0 Hz (slt: 1.5 dB too loud).
    Then averaged again over what the cepstrum resolves, as power: the logarithm of noise, averaged
    later, would come out 2.5 dB low.

    Args:
        pcm: 24 kHz, [S].
        centres: [N], the sample of each frame.
        f0_hz: [N], 0 where unvoiced.
        order: of the cepstrum that is going to be fitted.
    """
    reach = _FFT // 2
    padded = np.pad(pcm, (reach, reach))
    offsets = np.arange(-reach, reach)
    blur = _warped_blur(order)
    out = np.empty((len(centres), len(GRID_HZ)))
    for start in range(0, len(centres), _BLOCK_FRAMES):
        at = centres[start : start + _BLOCK_FRAMES]
        f0 = np.where(f0_hz[start : start + len(at)] > 0, f0_hz[start : start + len(at)], _UNVOICED_F0_HZ)[:, None]
        phase = offsets * f0 / (1.5 * SAMPLE_RATE_HZ)
        window = np.where(np.abs(phase) < 1, 0.5 + 0.5 * np.cos(np.pi * phase), 0)
        window /= np.sqrt(np.square(window).sum(1, keepdims=True))
        framed = padded[at[:, None] + reach + offsets] * window
        framed -= window * (framed.sum(1, keepdims=True) / window.sum(1, keepdims=True))
        power = np.abs(np.fft.rfft(framed)) ** 2
        out[start : start + len(at)] = _linear_smooth(power, f0 * (2 / 3)) @ blur
    return out + _FLOOR


def _linear_smooth(power: Floats, width_hz: Floats) -> Floats:
    """Mean over ``width_hz`` [N, 1] around each bin."""
    step = SAMPLE_RATE_HZ / _FFT
    margin = int(width_hz.max() / step) + 2
    mirrored = np.concatenate([power[:, margin:0:-1], power, power[:, -2 : -margin - 2 : -1]], 1)
    total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(mirrored, 1)], 1)
    half = width_hz / step / 2

    def at(place: Floats) -> Floats:
        below = np.floor(place).astype(np.int64)
        rest = place - below
        return np.asarray(np.take_along_axis(total, below, 1) * (1 - rest) + np.take_along_axis(total, below + 1, 1) * rest)

    middle = np.arange(power.shape[1]) + margin + 0.5
    return np.asarray((at(middle + half) - at(middle - half)) / (2 * half))


@cache
def _warped_blur(order: int) -> Floats:
    """[bins, points]: mean power over a raised cosine of +-pi/2/order on the warped axis."""
    angle, points = warped_angle(_BINS_HZ), warped_angle(GRID_HZ)
    distance = np.abs(angle[:, None] - points) * 2 * order / np.pi
    weights = np.where(distance < 1, 1 + np.cos(np.pi * distance), 0) * np.gradient(angle)[:, None]
    return np.asarray(weights / weights.sum(0))
