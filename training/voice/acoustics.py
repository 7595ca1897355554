"""What the voice learns to predict, and how the teacher's vocoder parameters become that.

Targets, one row per 5 ms frame (`pack`): ``cepstrum_order`` warped cepstra, one voicing
value per band, log F0.

* Cepstra: natural log amplitude of the sound's power density against white noise of unit variance at
  24 kHz, on the frequency axis warped by `CEPSTRUM_WARP`: ``log|S(f)| = sum_k c[k] cos(k * warp(f))``.
  They hold all of the sound, pulses and noise together (`to_cepstra`).
* Voicing: share of the power, 0..1, that repeats with F0, at `BAND_CENTRES_HZ`; between them the vocoder
  interpolates the square root (`to_bands`).
* Log F0 of Hz, bridged by straight lines where nothing is voiced.
* A row describes the moment of its frame; the sound between two rows cross-fades them.

The teacher is translated exactly, up to the resolution of these numbers: filter with post-filter (Tokuda
et al. 1994; Yoshimura 2001), and pulses and noise through the voice's real band filters, which overlap
and leave dips of 4 dB near 900 and 1500 Hz. Sources: flite 2.2, ``src/cg/cst_mlsa.c`` for the order of things.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.conv_tts.config import BAND_CENTRES_HZ, CEPSTRUM_WARP, MOST_VOICED, SAMPLE_RATE_HZ
from training.voice.flite import FliteSpeech, vocoder_constants

Floats = NDArray[np.float64]

SOURCE_RATE_HZ = 16_000
GRID_POINTS = 160
_SOURCE_TOP_HZ = 7960.0
"""The last grid point below the source's Nyquist frequency holds for all above."""
_AIR_FROM_HZ, _AIR_OVER_HZ = 8300.0, 600.0
_AIR_BELOW_HZ = (6000.0, 6900.0)
_AIR_DB_PER_KHZ = -5.0
_FLOOR_DB = -100.0
"""Rounding to 16 bits: no frame of the source is darker anywhere."""
_ENERGY_TAPS = 64
"""flite equalises the energy of this much of the impulse response, 4 ms; with all of it, vowels come out 1 dB too soft."""
_NEPER_PER_DB = np.log(10) / 20
_LEVEL_DB = {"rms": -0.5, "slt": -5.0, "awb": -1.5}
"""Brings all voices to about -22 dBFS while they speak."""
_CORRECTION_DB = {
    "slt": ((0.0, 3.0), (50.0, 3.0), (110.0, 0.5), (180.0, 0.5), (240.0, 0.0)),
    "awb": ((6900.0, 0.0), (7500.0, 3.0)),
}
"""By voice, (Hz, dB) to draw lines through: what the re-synthesised teacher lacked, on average over time, because the cepstra
cannot follow steps in its spectrum. Distortion of awb falls by 0.07 dB, of slt by 0.03, whose octave of the pitch was soft."""
_VOICING_CORRECTION = {"slt": (1.0, 1.0, 0.97, 0.96, 0.96)}
"""By voice, a factor for each band. flite puts a pulse on a whole sample, which blurs the high harmonics of high voices:
without these, vowels of the re-synthesised slt were more periodic above 3 kHz than hers, .64 to .61."""


def _grid_hz() -> Floats:
    """[points] frequencies that lie evenly on the warped axis, in the middle of equal stretches."""
    angle = (np.arange(GRID_POINTS) + 0.5) * np.pi / GRID_POINTS
    omega = angle - 2 * np.arctan2(CEPSTRUM_WARP * np.sin(angle), 1 + CEPSTRUM_WARP * np.cos(angle))
    return np.asarray(omega * SAMPLE_RATE_HZ / (2 * np.pi))


GRID_HZ = _grid_hz()


def to_cepstra(log_amplitude: Floats, order: int) -> Floats:
    """Warped cepstra [N, order], the least-squares fit to natural log amplitudes [N, points] at `GRID_HZ`."""
    angle = (np.arange(GRID_POINTS) + 0.5) * np.pi / GRID_POINTS
    cosines = np.cos(np.arange(order) * angle[:, None])
    return np.asarray(log_amplitude @ cosines * (np.where(np.arange(order) == 0, 1, 2) / GRID_POINTS))


@cache
def _band_fit(top_hz: float) -> tuple[NDArray[np.bool_], Floats]:
    inside = top_hz > GRID_HZ
    lines = np.stack([np.interp(GRID_HZ[inside], BAND_CENTRES_HZ, row) for row in np.eye(len(BAND_CENTRES_HZ))])
    return inside, np.asarray(np.linalg.pinv(lines), dtype=np.float64)


def to_bands(share: Floats, top_hz: float = SOURCE_RATE_HZ / 2) -> Floats:
    """Voicing [N, bands] from the periodic share of power [N, points] at `GRID_HZ`, of which all below ``top_hz`` is used."""
    inside, fit = _band_fit(top_hz)
    return np.asarray(np.square((np.sqrt(share[:, inside]) @ fit).clip(0, 1)).clip(0, MOST_VOICED))


def pack(cepstra: Floats, voicing: Floats, log_f0: Floats) -> NDArray[np.float16]:
    """One row per frame, [N, order + bands + 1]."""
    return np.concatenate([cepstra, voicing, log_f0[:, None]], 1).astype(np.float16)


def _all_passes(omega: Floats, alpha: float, order: int) -> NDArray[np.complex128]:
    """[order + 1, ...] responses of the filter's basis functions at angular frequencies."""
    delay = np.exp(-1j * omega)
    chain = (delay - alpha) / (1 - alpha * delay)
    first = (1 - alpha**2) * delay / (1 - alpha * delay)
    return np.stack([np.ones_like(delay), *(first * chain**k for k in range(order))])


@cache
def _responses(alpha: float, order: int) -> tuple[Floats, Floats]:
    """Filter coefficients -> log amplitude at `GRID_HZ`, and -> linear cepstrum."""
    inside = np.minimum(GRID_HZ, _SOURCE_TOP_HZ) * 2 * np.pi / SOURCE_RATE_HZ
    circle = 2 * np.pi * np.arange(4096) / 4096
    cepstra = np.fft.ifft(_all_passes(circle, alpha, order)).real[:, :_ENERGY_TAPS]
    return _all_passes(inside, alpha, order).real, cepstra


def _energy(coefficients: Floats, to_cepstrum: Floats) -> Floats:
    """[N], energy of the first `_ENERGY_TAPS` samples of minimum-phase impulse responses."""
    cepstrum = (coefficients @ to_cepstrum).T
    ramped = cepstrum * np.arange(_ENERGY_TAPS)[:, None]
    response = np.zeros_like(cepstrum)
    response[0] = np.exp(cepstrum[0])
    for n in range(1, _ENERGY_TAPS):
        response[n] = np.einsum("kt,kt->t", ramped[1 : n + 1], response[n - 1 :: -1][:n]) / n
    return np.asarray(np.square(response).sum(0))


def _filter_log_amplitude(mel_cepstrum: Floats, alpha: float, beta: float) -> Floats:
    """[N, points] of flite's filter behind its formant emphasis: all but the first coefficients grow by
    ``beta``, the energy of the impulse response stays."""
    order = mel_cepstrum.shape[1]
    plain = np.concatenate([mel_cepstrum, np.zeros((len(mel_cepstrum), 1))], 1)
    for k in range(order - 1, -1, -1):
        plain[:, k] -= alpha * plain[:, k + 1]
    sharper = plain.copy()
    sharper[:, 1] -= beta * alpha * mel_cepstrum[:, 2]
    sharper[:, 2:] *= 1 + beta
    to_log_amplitude, to_cepstrum = _responses(alpha, order)
    sharper[:, 0] += 0.5 * np.log(_energy(plain, to_cepstrum) / _energy(sharper, to_cepstrum))
    return np.asarray(sharper @ to_log_amplitude)


@cache
def _band_responses(voice: str) -> NDArray[np.complex128]:
    """[bands, points] of the teacher's band filters."""
    filters = vocoder_constants(voice).band_filters
    hz = np.minimum(GRID_HZ, _SOURCE_TOP_HZ)
    return np.asarray(filters @ np.exp(-2j * np.pi * np.outer(np.arange(filters.shape[1]), hz / SOURCE_RATE_HZ)))


def _excitation(speech: FliteSpeech, voice: str) -> tuple[Floats, Floats]:
    """Power of pulses and of noise, both [N, points]. A strength ``s`` means amplitudes ``s`` of pulses and ``1 - s`` of
    noise in its band. It holds for the stretch that ends at its frame, and pulses run only between two frames that have F0."""
    responses, strength = _band_responses(voice), speech.voicing.astype(np.float64)
    has_f0 = speech.f0_hz > 0
    pulsed = np.concatenate([has_f0[:1], has_f0[1:] & has_f0[:-1]])
    pulses = np.square(np.abs(strength @ responses)) * pulsed[:, None]
    noise = np.square(np.abs((1 - strength) @ responses))
    return _between(pulses), _between(noise)


def _between(stretches: Floats) -> Floats:
    """Values of stretches to values at the frames between them."""
    return np.asarray((stretches + np.concatenate([stretches[1:], stretches[-1:]])) / 2)


def translate(speech: FliteSpeech, voice: str, order: int) -> tuple[Floats, Floats, Floats]:
    """The targets of an utterance: cepstra [N, order], voicing [N, bands], continuous log F0 [N]."""
    constants = vocoder_constants(voice)
    pulses, noise = _excitation(speech, voice)
    power = pulses + noise + 1e-6
    # Unit noise at 24 kHz spreads over 12 kHz, at 16 kHz over 8.
    gain = np.log(constants.gain / 32768 * np.sqrt(SAMPLE_RATE_HZ / SOURCE_RATE_HZ))
    sound = _filter_log_amplitude(speech.mel_cepstrum.astype(np.float64), constants.alpha, constants.beta) + gain
    sound = np.logaddexp(2 * sound + np.log(power), 2 * _NEPER_PER_DB * _FLOOR_DB) / 2
    sound = with_air(sound) + (_LEVEL_DB[voice] + _correction_db(voice)) * _NEPER_PER_DB
    voicing = to_bands(pulses / power) * _VOICING_CORRECTION.get(voice, 1.0)
    return to_cepstra(sound, order), voicing, continuous_log_f0(speech.f0_hz)


@cache
def _correction_db(voice: str) -> Floats:
    """[points] of `_CORRECTION_DB`."""
    hz, db = zip(*_CORRECTION_DB.get(voice, ((0.0, 0.0),)), strict=True)
    return np.asarray(np.interp(GRID_HZ, hz, db))


def with_air(log_amplitude: Floats) -> Floats:
    """Above 8.3 kHz, where the teacher has nothing, the spectrum goes on from the level at 6 to 6.9 kHz and
    falls by 5 dB per kHz, so that fricatives reach up as far as they do in speech. The teacher's hole from
    7.2 to 8.2 kHz stays: filling it costs 1.3 dB of mel-cepstral distortion."""
    low_hz, high_hz = _AIR_BELOW_HZ
    level = log_amplitude[:, (low_hz < GRID_HZ) & (high_hz > GRID_HZ)].mean(1, keepdims=True)
    air = level + _NEPER_PER_DB * _AIR_DB_PER_KHZ * (GRID_HZ - (low_hz + high_hz) / 2) / 1000
    share = ((GRID_HZ - _AIR_FROM_HZ) / _AIR_OVER_HZ).clip(0, 1)
    return np.asarray(log_amplitude * (1 - share) + np.maximum(log_amplitude, air) * share)


def continuous_log_f0(f0_hz: NDArray[np.floating[Any]]) -> Floats:
    """Log F0 with gaps bridged by straight lines."""
    voiced = np.flatnonzero(f0_hz > 0)
    if len(voiced) == 0:
        return np.full(len(f0_hz), np.log(100.0))
    return np.asarray(np.interp(np.arange(len(f0_hz)), voiced, np.log(f0_hz[voiced].astype(np.float64))))
