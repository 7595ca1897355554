"""The voice's targets: the translation of the teacher's parameters, and a training run that stops and goes on."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.conv_tts.config import BAND_CENTRES_HZ, MOST_VOICED, ConvTtsConfig
from training.voice import acoustics
from training.voice.acoustics import GRID_HZ, GRID_POINTS, pack, to_bands, to_cepstra, translate
from training.voice.data import Utterance, load_shards, save_shard
from training.voice.flite import FliteSpeech, VocoderConstants
from training.voice.train import Training

ORDER = 40


def test_cepstra_hold_a_smooth_spectrum() -> None:
    angle = (np.arange(GRID_POINTS) + 0.5) * np.pi / GRID_POINTS
    wanted = np.array([-2.0, 0.7, -0.3, 0.1])
    spectrum = wanted @ np.cos(np.arange(4)[:, None] * angle)
    cepstra = to_cepstra(spectrum[None], ORDER)[0]
    np.testing.assert_allclose(cepstra[:4], wanted, atol=1e-12)
    np.testing.assert_allclose(cepstra[4:], 0, atol=1e-12)
    assert np.all(np.diff(GRID_HZ) > 0)
    assert 0 < GRID_HZ[0] < GRID_HZ[-1] < 12_000


def test_bands_hold_a_share_that_is_the_same_everywhere() -> None:
    shares = np.array([0.0, 0.25, 1.0])
    wanted = np.minimum(shares, MOST_VOICED)
    np.testing.assert_allclose(
        to_bands(np.repeat(shares[:, None], GRID_POINTS, 1)), np.repeat(wanted[:, None], 5, 1), atol=1e-9
    )


def speech(f0_hz: list[float], strength: float) -> FliteSpeech:
    frames = len(f0_hz)
    return FliteSpeech(
        np.zeros(0, np.int16), 16_000, (), np.array(f0_hz, np.float32), np.zeros((frames, 25), np.float32),
        np.full((frames, 2), strength, np.float32),
    )  # fmt: skip


@pytest.fixture
def flat_teacher(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loud, and with two band filters that add up to a flat spectrum."""
    constants = VocoderConstants(0.42, 0.0, 1000.0, np.array([[0.5, 0.0], [0.5, 0.0]]))
    monkeypatch.setattr(acoustics, "vocoder_constants", lambda voice: constants)
    acoustics._band_responses.cache_clear()
    yield
    acoustics._band_responses.cache_clear()


@pytest.mark.usefixtures("flat_teacher")
def test_strengths_are_amplitudes_of_pulses_beside_noise() -> None:
    cepstra, voicing, log_f0 = translate(speech([100.0] * 4, 0.75), "rms", ORDER)
    # Power .75**2 of pulses and .25**2 of noise, at the voice's level.
    power = 0.75**2 + 0.25**2
    level = np.log(1000 * np.sqrt(power * 1.5) / 32768) - 0.5 * np.log(10) / 20
    below_8_khz = GRID_HZ < 7000
    cosines = np.cos(np.arange(ORDER) * ((np.arange(GRID_POINTS) + 0.5) * np.pi / GRID_POINTS)[:, None])
    np.testing.assert_allclose((cepstra @ cosines.T)[:, below_8_khz], level, atol=0.03)
    np.testing.assert_allclose(voicing, 0.75**2 / power, atol=1e-3)
    np.testing.assert_allclose(log_f0, np.log(100))


@pytest.mark.usefixtures("flat_teacher")
def test_without_f0_only_the_noise_is_left_and_a_stretch_needs_f0_at_both_ends() -> None:
    cepstra, voicing, log_f0 = translate(speech([0, 0, 0, 0, 200, 200, 200, 200], 0.5), "rms", ORDER)
    np.testing.assert_allclose(voicing[:4], 0, atol=1e-6)
    np.testing.assert_allclose(voicing[5:], 0.5, atol=1e-3)
    assert 0.2 < voicing[4].mean() < 0.45  # the stretch before frame 4 has no pulses, the one behind it has
    assert cepstra[1, 0] == pytest.approx(cepstra[6, 0] - np.log(2) / 2, abs=0.02)
    np.testing.assert_allclose(log_f0, np.log(200))


def tiny_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    utterances = []
    for speaker in (0, 1, 2, 0):
        durations = rng.integers(4, 9, 12).astype(np.int16)
        phones = np.stack([rng.integers(5, 40, 12), rng.integers(0, 2, 12), np.ones(12)], 1).astype(np.int16)
        count = int(durations.sum())
        cepstra = rng.normal(0, 0.2, (count, ORDER))
        frames = pack(cepstra, rng.uniform(0.4, 1, (count, len(BAND_CENTRES_HZ))), np.full(count, 4.8))
        utterances.append(Utterance(speaker, phones, durations, frames))
    save_shard(folder / "voice-000.npz", utterances, 4)


@pytest.mark.timeout(300)
def test_training_stops_saves_and_goes_on(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    tiny_data(tmp_path)
    options = argparse.Namespace(
        checkpoint=tmp_path / "checkpoint.pt", peak_learning_rate=1e-3, minutes=5.0, seed=1, device="cpu", init=None, voice="en"
    )
    utterances = load_shards(tmp_path)
    first = Training(utterances, options)
    step = first.take_step

    def stop_after_three(*arguments: object) -> object:
        parts = step(*arguments)  # type: ignore[arg-type]
        assert all(torch.isfinite(part) for part in parts.values())
        if first.step == 3:
            first._stop()
        return parts

    first.take_step = stop_after_three  # type: ignore[method-assign, assignment]
    first.run(utterances)
    second = Training(utterances, options)
    assert second.step == 3
    assert second.elapsed_s > 0
    for name, parameter in second.model.state_dict().items():
        torch.testing.assert_close(parameter, first.model.state_dict()[name])

    options.checkpoint, options.init = tmp_path / "other.pt", tmp_path / "checkpoint.pt"
    started = Training(utterances, options)
    assert started.step == 0
    averaged = first.average.state_dict()["decoder.0.widen.weight"]
    torch.testing.assert_close(started.model.state_dict()["decoder.0.widen.weight"], averaged)
    assert ConvTtsConfig().cepstrum_order == ORDER
