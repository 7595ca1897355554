"""Frame targets of recordings: what the vocoder was given comes back."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.speech_measures import mel_cepstral_distortion_db
from models.conv_tts.config import HOP_SAMPLES, SAMPLE_RATE_HZ
from models.conv_tts.vocoder import Vocoder
from training.voice.analysis import analyse, resampled
from training.voice.envelope import warped_angle

Floats = NDArray[np.floating[Any]]

ORDER = 32
FRAMES = 300


def sound(cepstrum: Floats, voicing: Floats, log_f0: Floats) -> Floats:
    def row(values: Floats) -> torch.Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.float32))[None]

    vocoder = Vocoder(ORDER)
    with torch.inference_mode():
        samples, _ = vocoder(row(cepstrum), row(voicing), row(np.exp(log_f0)), vocoder.init_state(1))
    return np.asarray(samples[0].numpy(), dtype=np.float64)


def gliding(voicing: float, lowest_f0_hz: float) -> tuple[Floats, Floats, Floats]:
    """Frames with a spectrum that moves and a pitch that rises by a third."""
    time = np.linspace(0, 1, FRAMES)
    cepstrum = np.zeros((FRAMES, ORDER))
    cepstrum[:, 0], cepstrum[:, 1] = -4.5, 1.0
    cepstrum[:, 2] = 0.3 * np.cos(2 * np.pi * time)
    cepstrum[:, 5] = 0.3 * np.sin(2 * np.pi * time)
    return cepstrum, np.full((FRAMES, 5), voicing), np.log(lowest_f0_hz) + time * np.log(4 / 3)


def log_amplitude(cepstrum: Floats) -> Floats:
    """Natural log amplitude between 300 and 7500 Hz."""
    angle = warped_angle(np.linspace(300, 7500, 50))
    return np.asarray(cepstrum @ np.cos(np.arange(ORDER)[:, None] * angle))


@pytest.mark.parametrize("lowest_f0_hz", [90.0, 210.0])
def test_pitch_spectrum_and_voicing_of_a_voiced_sound_come_back(lowest_f0_hz: float) -> None:
    given = gliding(1.0, lowest_f0_hz)
    cepstrum, voicing, log_f0 = analyse(sound(*given), SAMPLE_RATE_HZ, ORDER)
    inside = slice(20, FRAMES - 20)
    assert len(cepstrum) == FRAMES
    assert np.abs(log_f0 - given[2])[inside].max() < 0.02
    assert np.abs(log_amplitude(cepstrum - given[0])[inside]).mean() < 0.1
    assert voicing[inside, :4].min() > 0.8
    assert np.median(voicing[inside, 4]) > 0.75  # the vocoder's own voicing falls from there on


def test_noise_is_unvoiced_and_has_its_level() -> None:
    cepstrum, voicing, _ = analyse(sound(*gliding(0.0, 120.0)), SAMPLE_RATE_HZ, ORDER)
    assert np.quantile(voicing, 0.95) < 0.3
    assert abs(cepstrum[20:-20, 0].mean() - -4.5) < 0.06


def test_half_noise_is_half_voiced() -> None:
    _, voicing, _ = analyse(sound(*gliding(0.5, 120.0)), SAMPLE_RATE_HZ, ORDER)
    assert 0.35 < voicing[20:-20].mean() < 0.65


def test_a_copy_sounds_like_the_recording_at_either_rate() -> None:
    cepstrum, voicing, log_f0 = gliding(1.0, 110.0)
    voicing[FRAMES // 2 :] = 0
    original = sound(cepstrum, voicing, log_f0)
    for rate_hz in (16_000, SAMPLE_RATE_HZ):
        copy = sound(*analyse(resampled(original, SAMPLE_RATE_HZ, rate_hz), rate_hz, ORDER))
        one, other = (resampled(pcm, SAMPLE_RATE_HZ, 16_000) for pcm in (original, copy))
        assert mel_cepstral_distortion_db(one, other) < 2.5


def test_what_lies_above_a_recording_is_filled_in() -> None:
    pcm = resampled(sound(*gliding(0.0, 120.0)), SAMPLE_RATE_HZ, 16_000)
    copy = sound(*analyse(pcm, 16_000, ORDER))
    spectrum = np.abs(np.fft.rfft(copy)) ** 2
    hz = np.arange(len(spectrum)) * SAMPLE_RATE_HZ / len(copy)
    below, above = (spectrum[(hz > low) & (hz < low + 1000)].mean() for low in (6000, 9000))
    assert 0.003 < above / below < 1


def test_silence_and_less_than_a_frame_are_harmless() -> None:
    for samples in (HOP_SAMPLES - 1, 40 * HOP_SAMPLES):
        cepstrum, voicing, log_f0 = analyse(np.zeros(samples), SAMPLE_RATE_HZ, ORDER)
        assert len(cepstrum) == len(voicing) == len(log_f0) == samples // HOP_SAMPLES
        assert np.isfinite(cepstrum).all()
        assert not voicing.any()
