"""The pitch tracker on sounds whose pitch is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.audio import Pcm
from models.pitch import track_pitch

RATE_HZ, HOP_SAMPLES = 16_000, 160


def voiced(f0_hz: NDArray[np.float64], harmonics: range) -> Pcm:
    """Harmonics that fall by 6 dB per octave, for F0 given per sample."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE_HZ
    waves = [np.sin(number * phase) / number for number in harmonics]
    return np.asarray(0.2 * np.sum(waves, axis=0), np.float32)


@pytest.mark.parametrize("f0_hz", [75.0, 120.0, 220.0, 400.0])
@pytest.mark.parametrize("harmonics", [range(1, 12), range(3, 12)], ids=["whole", "fundamental missing"])
@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
def test_steady_tones(f0_hz: float, harmonics: range, rate_hz: int) -> None:
    pcm = voiced(np.full(RATE_HZ, f0_hz * RATE_HZ / rate_hz), harmonics)
    track = track_pitch(pcm, rate_hz, HOP_SAMPLES)
    assert len(track.f0_hz) == len(track.strength) == 100
    inner = slice(6, -6)
    np.testing.assert_allclose(track.f0_hz[inner], f0_hz, rtol=0.01)
    assert track.strength[inner].min() > 0.9


def test_glide_in_noise() -> None:
    f0_hz = np.geomspace(110, 240, 2 * RATE_HZ)
    noise = 0.03 * np.random.default_rng(1).standard_normal(2 * RATE_HZ)
    track = track_pitch((voiced(f0_hz, range(1, 20)) + noise).astype(np.float32), RATE_HZ, HOP_SAMPLES)
    np.testing.assert_allclose(track.f0_hz[6:-6], f0_hz[::HOP_SAMPLES][6:-6], rtol=0.02)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = 0.1 * np.random.default_rng(2).standard_normal(RATE_HZ)
    assert (track_pitch(noise.astype(np.float32), RATE_HZ, HOP_SAMPLES).f0_hz > 0).mean() < 0.1
    assert not track_pitch(np.zeros(RATE_HZ, np.float32), RATE_HZ, HOP_SAMPLES).f0_hz.any()
    assert len(track_pitch(np.zeros(50, np.float32), RATE_HZ, HOP_SAMPLES).f0_hz) == 0


def test_pauses_between_words() -> None:
    pcm = voiced(np.full(3 * RATE_HZ, 150.0), range(1, 12))
    pcm[RATE_HZ : 2 * RATE_HZ] = 0
    f0_hz = track_pitch(pcm, RATE_HZ, HOP_SAMPLES).f0_hz
    assert (f0_hz[10:90] > 0).all()
    assert not f0_hz[110:190].any()
    assert (f0_hz[210:290] > 0).all()
