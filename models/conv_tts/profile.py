"""What a voice measures on average: pitch, long-term spectrum, periodicity, level."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from models.audio import Pcm
from models.conv_tts.vocoder import warped_angle
from models.pitch import track_pitch

Floats = NDArray[np.float64]

CLIP_RATE_HZ = 16_000
OFFSET_ORDER = 20
"""Cepstral coefficients of a correction of the spectrum: details down to 1 Bark."""
MOVEMENT_SIZE = 11

_HOP_SAMPLES = 160
_FFT_SAMPLES = 512
_BANDS = 36
_LOWEST_HZ, _HIGHEST_HZ = 90.0, 7400.0
_ACTIVE_DB = 25.0
_STRONGEST_CORRECTION = 2.0
"""Neper (17 dB) from the mean of the correction."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Averages over a recording of one speaker."""

    f0_hz: float
    """Median over voiced frames."""
    log_f0_spread: float
    """Half the distance from the 10th to the 90th percentile of log F0."""
    voiced_spectrum: Floats
    """[bands], mean log amplitude (neper) of voiced frames."""
    certainty: Floats
    """[bands], 0..1: how far the voiced frames stand out of the recording's own noise."""
    movement: Floats
    """[MOVEMENT_SIZE, MOVEMENT_SIZE], covariance of the cepstrum of voiced frames, from the second coefficient on."""
    voicing_logit: float
    """Median log odds of the periodicity of voiced frames."""
    active_level_db: float
    """Mean square of the frames within 25 dB of the loudest, dBFS."""
    peak: float


def measure(pcm: Pcm) -> Profile:
    """Measure audio at 16 kHz. ValueError: fewer than 20 frames of 10 ms are voiced."""
    track = track_pitch(pcm, CLIP_RATE_HZ, _HOP_SAMPLES)
    count = len(track.f0_hz)
    padded = np.pad(np.asarray(pcm, np.float64), _FFT_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT_SAMPLES)[::_HOP_SAMPLES][:count]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_FFT_SAMPLES)))) @ _bands().T
    level_db = 10 * np.log10(np.square(frames).mean(1) + 1e-12)
    active = level_db > level_db.max(initial=-120.0) - _ACTIVE_DB
    voiced = active & (track.f0_hz > 0)
    if voiced.sum() < 20:
        raise ValueError("nothing in it is voiced")
    log_amplitude = 0.5 * np.log(power + 1e-12)
    log_f0 = np.log(track.f0_hz[voiced])
    quiet = np.percentile(log_amplitude, 5, axis=0)
    mean = log_amplitude[voiced].mean(0)
    strength = np.clip(track.strength[voiced], 0.02, 0.995)
    low, high = np.percentile(log_f0, [10, 90])
    return Profile(
        f0_hz=float(np.exp(np.median(log_f0))),
        log_f0_spread=float(max((high - low) / 2, 0.02)),
        voiced_spectrum=mean,
        # Bands within 6 dB of the floor are noise's, those 15 dB above it are the voice's.
        certainty=np.clip((mean - quiet - 0.7) / 1.0, 0, 1),
        movement=np.cov((log_amplitude[voiced] @ _cepstral_fit())[:, 1 : MOVEMENT_SIZE + 1].T),
        voicing_logit=float(np.median(np.log(strength / (1 - strength)))),
        active_level_db=float(10 * np.log10(np.square(frames)[active].mean() + 1e-12)),
        peak=float(max(np.abs(pcm).max(), 1e-6)),
    )


def spectral_difference(target: Profile, own: Profile) -> Floats:
    """The cepstrum [OFFSET_ORDER] on the model's frequency axis that turns one long-term spectrum into the other.

    A smooth weighted fit: bands that the target's noise covers count for nothing and follow their neighbours.
    """
    difference = target.voiced_spectrum - own.voiced_spectrum
    weight = np.minimum(target.certainty, own.certainty) + 0.01
    middle = float((weight * difference).sum() / weight.sum())
    difference = middle + np.clip(difference - middle, -_STRONGEST_CORRECTION, _STRONGEST_CORRECTION)
    basis = np.cos(np.arange(OFFSET_ORDER) * _centre_angles()[:, None])
    # Above the highest band the correction stays what it is there.
    above = np.cos(np.arange(OFFSET_ORDER) * np.linspace(_centre_angles()[-1], math.pi, 6)[1:, None])
    rows = np.concatenate([basis, above])
    wanted = np.concatenate([difference, np.full(5, difference[-3:].mean())])
    weights = np.concatenate([weight, np.full(5, 0.2)])
    return np.asarray(np.linalg.solve(rows.T @ (weights[:, None] * rows) + _smooth(), rows.T @ (weights * wanted)))


def equalise(pcm: Pcm, cepstrum: Floats) -> Pcm:
    """Filter audio at 16 kHz by a log spectrum given as a cepstrum on the model's axis."""
    size = 1 << (len(pcm) - 1).bit_length()
    hz = np.arange(size // 2 + 1) * CLIP_RATE_HZ / size
    coarse_hz = np.linspace(0, CLIP_RATE_HZ / 2, 257)
    log_gain = np.cos(np.arange(len(cepstrum)) * _angle(coarse_hz)[:, None]) @ cepstrum
    filtered = np.fft.irfft(np.fft.rfft(pcm, size) * np.exp(np.interp(hz, coarse_hz, log_gain)), size)
    return np.asarray(filtered[: len(pcm)], dtype=np.float32)


def _angle(hz: Floats) -> Floats:
    return np.asarray(warped_angle(torch.from_numpy(np.asarray(hz, np.float64))).numpy())


def _smooth() -> Floats:
    """[OFFSET_ORDER, OFFSET_ORDER]: what details of a fit cost."""
    return np.asarray(0.002 * np.diag(np.arange(OFFSET_ORDER, dtype=np.float64) ** 2))


@cache
def _cepstral_fit() -> Floats:
    """[bands, OFFSET_ORDER]: log amplitudes to a smooth cepstrum."""
    basis = np.cos(np.arange(OFFSET_ORDER) * _centre_angles()[:, None])
    return np.asarray(np.linalg.solve(basis.T @ basis + _smooth(), basis.T).T)


@cache
def _edges_hz() -> Floats:
    """Band edges, evenly spaced on the model's frequency axis."""
    hz = np.linspace(0, CLIP_RATE_HZ / 2, 4001)
    angle = _angle(hz)
    low, high = np.interp([_LOWEST_HZ, _HIGHEST_HZ], hz, angle)
    return np.interp(np.linspace(low, high, _BANDS + 2), angle, hz)


@cache
def _centre_angles() -> Floats:
    return _angle(_edges_hz()[1:-1])


@cache
def _bands() -> Floats:
    """[bands, bins], triangles with an area of 1."""
    edges, bins_hz = _edges_hz(), np.arange(_FFT_SAMPLES // 2 + 1) * CLIP_RATE_HZ / _FFT_SAMPLES
    rising = (bins_hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins_hz) / np.diff(edges)[1:, None]
    bands = np.maximum(np.minimum(rising, falling), 0)
    # The lowest bands are narrower than a bin: they read the nearest one.
    nearest = np.abs(bins_hz - edges[1:-1, None]).argmin(1)
    bands[np.arange(_BANDS), nearest] += 1e-6
    return np.asarray(bands / bands.sum(1, keepdims=True))
