"""Spectral envelopes of recorded speech, pitch-synchronous, and their warped cepstra."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.conv_tts.config import CEPSTRUM_WARP, SAMPLE_RATE_HZ

Floats = NDArray[np.floating[Any]]

_FFT = 2048
_BINS_HZ = np.arange(_FFT // 2 + 1) * SAMPLE_RATE_HZ / _FFT
_UNVOICED_F0_HZ = 250.0
"""Unvoiced frames are seen through three periods of this: 12 ms."""
_FLOOR = 10 ** (-90 / 10)
"""Of power, full scale being 1: digital silence is given this."""
GRID_POINTS = 256
_BLOCK_FRAMES = 400
_SLOPE_DB_PER_KHZ = -6.0
_NEPER_PER_DB = np.log(10) / 20


def warped_angle(frequency_hz: Floats) -> Floats:
    """Radians on the cepstrum's warped axis."""
    omega = 2 * np.pi * frequency_hz / SAMPLE_RATE_HZ
    return np.asarray(omega + 2 * np.arctan2(CEPSTRUM_WARP * np.sin(omega), 1 - CEPSTRUM_WARP * np.cos(omega)))


def smooth_power(pcm: Floats, centres: NDArray[np.int64], f0_hz: Floats, order: int) -> Floats:
    """[N, points]: power at 24 kHz without the harmonics on an even grid of the warped axis; white noise of power 1 gives 1.

    CheapTrick (Morise 2015): a window of three periods, the power averaged over two thirds of F0.
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
    out = np.empty((len(centres), GRID_POINTS))
    for start in range(0, len(centres), _BLOCK_FRAMES):
        at = centres[start : start + _BLOCK_FRAMES]
        f0 = np.where(f0_hz[start : start + len(at)] > 0, f0_hz[start : start + len(at)], _UNVOICED_F0_HZ)[:, None]
        phase = offsets * f0 / (1.5 * SAMPLE_RATE_HZ)
        window = np.where(np.abs(phase) < 1, 0.5 + 0.5 * np.cos(np.pi * phase), 0)
        window /= np.sqrt(np.square(window).sum(1, keepdims=True))
        framed = padded[at[:, None] + reach + offsets] * window
        framed -= window * (framed.sum(1, keepdims=True) / window.sum(1, keepdims=True))
        power = np.abs(np.fft.rfft(framed)) ** 2
        power = _with_mirrored_bottom(power, f0)
        out[start : start + len(at)] = _linear_smooth(power, f0 * (2 / 3)) @ blur
    return out + _FLOOR


def _with_mirrored_bottom(power: Floats, f0: Floats) -> Floats:
    """Below F0 there is half of what there should be: the spectrum mirrored at F0 fills it up."""
    out = power.copy()
    step = SAMPLE_RATE_HZ / _FFT
    top = int(f0.max() / step) + 1
    mirrored = f0 - _BINS_HZ[None, :top]
    place = np.abs(mirrored) / step
    below = place.astype(np.int64)
    rest = place - below
    filling = np.take_along_axis(power, below, 1) * (1 - rest) + np.take_along_axis(power, below + 1, 1) * rest
    out[:, :top] += np.where(mirrored > 0, filling, 0)
    return out


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
def _grid_hz() -> Floats:
    """Frequencies that lie evenly on the warped axis."""
    fine_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, 20_001)
    return np.interp((np.arange(GRID_POINTS) + 0.5) * np.pi / GRID_POINTS, warped_angle(fine_hz), fine_hz)


@cache
def _warped_blur(order: int) -> Floats:
    """[bins, points]: mean power over a raised cosine of +-pi/2/order on the warped axis."""
    angle = warped_angle(_BINS_HZ)
    points = (np.arange(GRID_POINTS) + 0.5) * np.pi / GRID_POINTS
    distance = np.abs(angle[:, None] - points) * 2 * order / np.pi
    weights = np.where(distance < 1, 1 + np.cos(np.pi * distance), 0) * np.gradient(angle)[:, None]
    return np.asarray(weights / weights.sum(0))


def warped_cepstra(power: Floats, order: int, top_hz: float) -> Floats:
    """[N, order] of the smooth power [N, points] that `smooth_power` gives.

    Above ``top_hz``, the end of what was recorded, the spectrum goes on from the mean of the
    600 Hz below and falls by 6 dB per kHz, as `acoustics.translate` does it.
    """
    log_amplitude = 0.5 * np.log(power)
    grid_hz = _grid_hz()
    beyond = grid_hz > top_hz
    if beyond.any():
        edge = (grid_hz >= top_hz - 600) & (grid_hz <= top_hz)
        fall = (grid_hz[beyond] - top_hz) / 1000 * _SLOPE_DB_PER_KHZ * _NEPER_PER_DB
        log_amplitude[:, beyond] = log_amplitude[:, edge].mean(1, keepdims=True) + fall
    points = (np.arange(GRID_POINTS) + 0.5) * np.pi / GRID_POINTS
    cosines = np.cos(np.arange(order) * points[:, None])
    scale = np.where(np.arange(order) == 0, 1, 2) / GRID_POINTS
    return np.asarray(log_amplitude @ (cosines * scale))
