"""The teacher's vocoder parameters, translated into those of `models.conv_tts.vocoder`.

Everything is per frame and exact up to the order of the cepstrum: flite's filter
(with its post-filter) is evaluated on a frequency grid, continued above its 8 kHz
by a gentle slope, and fitted by our warped cepstrum at 24 kHz.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.conv_tts.config import BAND_CENTRES_HZ, CEPSTRUM_WARP, SAMPLE_RATE_HZ
from training.voice.flite import FliteSpeech, vocoder_constants

Floats = NDArray[np.float64]

SOURCE_RATE_HZ = 16_000
_GRID_HZ = np.linspace(0, SAMPLE_RATE_HZ / 2, 481)
_SOURCE_TOP_HZ = 7600.0
_SLOPE_DB_PER_KHZ = -6.0
"""Above 7.6 kHz the source says nothing: let it fall gently, as noise."""
_NEPER_PER_DB = np.log(10) / 20
_LEVEL_DB = {"rms": -0.5, "slt": -5.0, "awb": -1.5}
"""Brings all voices to about -22 dBFS while they speak."""


def _warped(frequency_hz: Floats, rate_hz: int, alpha: float) -> Floats:
    omega = 2 * np.pi * frequency_hz / rate_hz
    return np.asarray(omega + 2 * np.arctan2(alpha * np.sin(omega), 1 - alpha * np.cos(omega)))


@cache
def _translation(alpha: float, order_in: int, order_out: int) -> tuple[Floats, Floats, Floats]:
    """Matrices of cepstrum -> log amplitude on the grid (without level), grid -> our cepstrum, and the slope."""
    inside = np.minimum(_GRID_HZ, _SOURCE_TOP_HZ)
    source = np.cos(np.arange(order_in)[:, None] * _warped(inside, SOURCE_RATE_HZ, alpha))
    # The value at the top is the mean of the last 600 Hz, so that one steep edge is not continued.
    top = (_GRID_HZ >= _SOURCE_TOP_HZ - 600) & (_GRID_HZ <= _SOURCE_TOP_HZ)
    source[:, _GRID_HZ > _SOURCE_TOP_HZ] = source[:, top].mean(1, keepdims=True)
    slope = np.maximum(_GRID_HZ - _SOURCE_TOP_HZ, 0) / 1000 * _SLOPE_DB_PER_KHZ * _NEPER_PER_DB
    angle = _warped(_GRID_HZ, SAMPLE_RATE_HZ, CEPSTRUM_WARP)
    basis = np.cos(np.arange(order_out)[:, None] * angle)
    density = np.gradient(angle)  # equal weight along the warped axis
    weighted = basis * density
    fit = np.linalg.solve(weighted @ basis.T, weighted)
    return source, fit.T, slope


@cache
def _band_interpolation() -> Floats:
    """[bands, grid]: straight lines between the centres of the bands."""
    return np.stack([np.interp(_GRID_HZ, BAND_CENTRES_HZ, row) for row in np.eye(len(BAND_CENTRES_HZ))])


def _post_filter(mel_cepstrum: Floats, alpha: float, beta: float) -> Floats:
    """flite's formant emphasis: all but the first coefficients of the MLSA filter grow by ``beta``,
    the energy of the impulse response stays."""
    order = mel_cepstrum.shape[1]
    mlsa = mel_cepstrum.copy()
    for k in range(order - 2, -1, -1):
        mlsa[:, k] -= alpha * mlsa[:, k + 1]
    sharper = mlsa.copy()
    sharper[:, 1] -= beta * alpha * mel_cepstrum[:, 2]
    sharper[:, 2:] *= 1 + beta
    back = sharper.copy()
    for k in range(order - 2, -1, -1):
        back[:, k] = sharper[:, k] + alpha * sharper[:, k + 1]
    angle = _warped(np.linspace(0, SOURCE_RATE_HZ / 2, 257), SOURCE_RATE_HZ, alpha)
    cosines = np.cos(np.arange(order)[:, None] * angle)
    energy_before = np.exp(2 * (mel_cepstrum @ cosines)).mean(1)
    energy_after = np.exp(2 * (back @ cosines)).mean(1)
    back[:, 0] += 0.5 * np.log(energy_before / energy_after)
    return back


def translate(speech: FliteSpeech, voice: str, voiceless: NDArray[np.bool_], order: int) -> tuple[Floats, Floats, Floats]:
    """Our cepstrum [N, order], voiced share of power [N, bands] and continuous log F0 [N] of an utterance.

    ``voiceless`` [N] marks frames of phones without voice, where flite's rms keeps
    its pulses running: the power stays, the pulses go.
    """
    constants = vocoder_constants(voice)
    filtered = _post_filter(speech.mel_cepstrum.astype(np.float64), constants.alpha, constants.beta)
    source, fit, slope = _translation(constants.alpha, filtered.shape[1], order)
    strength = speech.voicing.astype(np.float64).clip(0, 1)
    pulsed = speech.f0_hz > 0
    pulse_power = np.where(pulsed[:, None], strength**2, 0)
    noise_power = (1 - strength) ** 2
    power = pulse_power + noise_power + 1e-4
    voicing = np.where((pulsed & ~voiceless)[:, None], pulse_power / power, 0)
    # Unit noise at 24 kHz spreads over 12 kHz, at 16 kHz over 8.
    level = np.log(constants.gain / 32768 * np.sqrt(SAMPLE_RATE_HZ / SOURCE_RATE_HZ)) + _LEVEL_DB[voice] * _NEPER_PER_DB
    log_power = np.log(power) @ _band_interpolation()
    cepstrum = (filtered @ source + 0.5 * log_power + slope + level) @ fit
    return cepstrum, voicing, _continuous_log_f0(speech.f0_hz)


def bandwidth_continuation(order: int) -> tuple[Floats, Floats]:
    """A linear map of our cepstra, ``c @ matrix + offset``, that takes away the teacher's edge at 7 kHz.

    The recordings behind the teacher end there. Above 6.8 kHz the spectrum goes on from
    the mean level of the 800 Hz below, falling by 5 dB per kHz, so that fricatives reach
    up as far as they do in speech.
    """
    edge_hz, slope_db_per_khz = 6800.0, -5.0
    angle = _warped(_GRID_HZ, SAMPLE_RATE_HZ, CEPSTRUM_WARP)
    basis = np.cos(np.arange(order)[:, None] * angle)
    continued = basis.copy()
    below = edge_hz - _GRID_HZ
    top = (below >= 0) & (below <= 800)
    continued[:, below < 0] = basis[:, top].mean(1, keepdims=True)
    slope = np.maximum(-below, 0) / 1000 * slope_db_per_khz * _NEPER_PER_DB
    weighted = basis * np.gradient(angle)
    fit = np.linalg.solve(weighted @ basis.T, weighted).T
    return continued @ fit, slope @ fit


def _continuous_log_f0(f0_hz: NDArray[np.float32]) -> Floats:
    """Log F0 with gaps bridged by straight lines."""
    voiced = np.flatnonzero(f0_hz > 0)
    if len(voiced) == 0:
        return np.full(len(f0_hz), np.log(100.0))
    return np.asarray(np.interp(np.arange(len(f0_hz)), voiced, np.log(f0_hz[voiced].astype(np.float64))))
