"""The measures of synthetic speech, on signals whose answers are known."""

import numpy as np
import pytest

from benchmarks.speech_measures import (
    OCTAVES_HZ,
    mel_cepstral_distortion_db,
    mel_error_db,
    octave_levels_db,
    periodicity,
)

RATE_HZ = 16_000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE_HZ))


def pulses(seconds: float, f0_hz: float = 125.0) -> np.ndarray:
    pcm = np.zeros(int(seconds * RATE_HZ))
    pcm[:: int(RATE_HZ / f0_hz)] = 1.0
    return pcm


def band(pcm: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    spectrum = np.fft.rfft(pcm)
    hz = np.fft.rfftfreq(len(pcm), 1 / RATE_HZ)
    spectrum[(hz < low_hz) | (hz >= high_hz)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(pcm)))


SPANS = [(0.1 * k, 0.1 * k + 0.08) for k in range(1, 9)]


def test_pulses_are_periodic_and_noise_is_not() -> None:
    assert np.mean(periodicity(pulses(1), SPANS)) > 0.95
    assert np.mean(periodicity(noise(1), SPANS)) < 0.4


def test_periodicity_is_that_of_the_band() -> None:
    mixed = band(pulses(1), 0, 3000) + band(noise(1), 3000, 8000)
    assert np.mean(periodicity(mixed, SPANS, (100, 3000))) > 0.9
    assert np.mean(periodicity(mixed, SPANS, (3000, 7600))) < 0.5
    assert np.mean(periodicity(pulses(1), SPANS, (3000, 7600))) > 0.9


def test_short_spans_say_nothing_of_periodicity() -> None:
    assert periodicity(pulses(1), [(0.2, 0.24), (0.9999, 1.2)]) == []


def test_half_noise_lies_between() -> None:
    heights = [
        np.mean(periodicity(band(pulses(1), 3000, 8000) + share * band(noise(1), 3000, 8000), SPANS, (3000, 7600)))
        for share in (0.0, 0.5, 1.0, 4.0)
    ]
    assert heights == sorted(heights, reverse=True)


def test_an_octave_that_is_louder_by_6_db_shows_as_that() -> None:
    pcm = noise(4)
    louder = pcm + band(pcm, 800, 1600)
    difference = octave_levels_db(louder) - octave_levels_db(pcm)
    assert difference[OCTAVES_HZ.index(800)] == pytest.approx(6, abs=0.2)
    others = np.delete(difference, OCTAVES_HZ.index(800))
    assert np.abs(others).max() < 0.3


def test_mel_errors_are_given_for_the_octave_they_are_in() -> None:
    pcm = noise(2)
    error = mel_error_db(pcm + band(pcm, 1600, 3200), pcm)
    assert error.shape == (len(OCTAVES_HZ) - 1,)
    assert error[OCTAVES_HZ.index(1600)] == pytest.approx(6, abs=0.5)
    assert error[OCTAVES_HZ.index(200)] < 0.1


def test_distortion_ignores_the_level_and_sees_the_shape() -> None:
    pcm = noise(2)
    assert mel_cepstral_distortion_db(pcm, pcm) == 0
    assert mel_cepstral_distortion_db(pcm * 1.3, pcm) < 0.05
    assert mel_cepstral_distortion_db(noise(2, seed=1), pcm) > 1
    assert mel_cepstral_distortion_db(band(pcm, 0, 4000) + 0.3 * band(pcm, 4000, 8000), pcm) > 2
