"""The recipe of the speaker encoder: who it hears, its losses, and a run that learns and goes on."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.speaker_encoder.features import FEATURES
from models.speaker_encoder.network import CHARACTER_NAMES, Heard, SpeakerNetwork
from training.ears.voices import VoiceSettings
from training.speaker import train as recipe
from training.speaker.data import SpeakerData, arrive, labels_of
from training.speaker.speakers import BASE_SPEAKERS, HELD_OUT_SPEAKERS, HELD_OUT_VARIANTS, draw_speakers
from training.speaker.train import Batches, character_loss, speaker_loss, train

LABELS = len(CHARACTER_NAMES) + len(BASE_SPEAKERS)


def test_training_never_draws_a_speaker_of_the_benchmark() -> None:
    drawn = [speaker.settings for speaker in draw_speakers(np.random.default_rng(3), 0, 400, 200)]
    assert all(isinstance(settings, VoiceSettings) for settings in drawn)
    for name, held in HELD_OUT_SPEAKERS:
        for settings in drawn:
            assert settings is not None
            if settings.engine != held.engine:
                continue
            if held.engine == "espeak":
                assert settings.voice.partition("+")[2] not in HELD_OUT_VARIANTS
            elif held.voice == settings.voice:
                # A base voice so far from itself that no drawn setting comes near.
                assert abs(math.log(settings.warp / held.warp)) > 0.03, name
    assert len({name for name, _ in HELD_OUT_SPEAKERS}) == 10


def test_labels_are_those_of_own_voices_only() -> None:
    own, other = draw_speakers(np.random.default_rng(1), 1, 1, 0)
    assert np.isnan(labels_of(other)).all()
    labels = labels_of(own)
    assert labels.shape == (LABELS,)
    assert labels[len(CHARACTER_NAMES) :].sum() == pytest.approx(1)
    assert 70 < math.exp(labels[0]) < 300


def test_clips_arrive_finite_and_as_long() -> None:
    pcm = np.sin(np.arange(16_000) / 20).astype(np.float32)
    rng = np.random.default_rng(1)
    for _ in range(12):
        arrived = arrive(pcm, rng)
        assert len(arrived) == len(pcm)
        assert np.isfinite(arrived).all()


def test_speaker_loss_is_low_for_speakers_apart() -> None:
    apart = torch.eye(4, 8).repeat_interleave(3, 0)
    mixed = torch.eye(4, 8).repeat(3, 1)
    scale = torch.tensor(math.log(10.0))
    assert float(speaker_loss(apart, 4, scale)) < 0.01
    assert float(speaker_loss(mixed, 4, scale)) > 1.0


def test_character_loss_counts_own_voices_only() -> None:
    network = SpeakerNetwork(channels=8)
    heard = Heard(torch.zeros(2, 8), torch.ones(2, len(CHARACTER_NAMES)), torch.zeros(2, 3))
    unknown = torch.full((2, LABELS), torch.nan)
    assert float(character_loss(heard, unknown, network)) == 0
    known = unknown.clone()
    known[0] = torch.tensor([1.0] * len(CHARACTER_NAMES) + [1.0, 0.0, 0.0])
    assert float(character_loss(heard, known, network)) == pytest.approx(0.5 * math.log(3), rel=1e-4)


@pytest.fixture
def data() -> SpeakerData:
    """Twenty-four speakers who are a colour each, four utterances of 100 frames."""
    rng = np.random.default_rng(0)
    numbers = np.repeat(np.arange(24), 4)
    colours = rng.standard_normal((24, FEATURES))
    frames = colours[np.repeat(numbers, 100)] + 0.5 * rng.standard_normal((9600, FEATURES))
    labels = np.concatenate([rng.standard_normal((96, len(CHARACTER_NAMES))), rng.dirichlet([1, 1, 1], 96)], axis=1)
    characters = np.where(numbers[:, None] % 2, labels, np.nan).astype(np.float32)
    return SpeakerData(frames.astype(np.float16), np.arange(97) * 100, numbers, characters)


def test_batches_hold_so_many_of_so_many(data: SpeakerData) -> None:
    batch = Batches(data, list(range(24)), np.random.default_rng(1)).draw(5, 3)
    assert batch.features.shape[0] == 15
    assert batch.features.shape[2] == FEATURES
    means = batch.features.mean(1).view(5, 3, FEATURES)
    assert float((means - means.mean(1, keepdim=True)).abs().max()) < 0.5  # of one speaker each


def test_a_run_learns_goes_on_where_it_stopped_and_logs(
    data: SpeakerData, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SPEAKERS": 6, "CROP_FRAMES": (20, 30)}.items():
        monkeypatch.setattr(recipe, name, value)
    torch.set_num_threads(1)
    before = torch.get_rng_state()
    network = train(data, tmp_path, steps=50, learning_rate=3e-3, seed=1)
    first = capsys.readouterr().out
    assert '"step": 25' in first
    assert '"step": 50' in first
    again = train(data, tmp_path, steps=50, learning_rate=3e-3, seed=1)
    assert capsys.readouterr().out == ""
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    losses = [float(line.split('"speaker_loss": ')[1].split(",")[0]) for line in first.splitlines()]
    assert losses[-1] < losses[0] < math.log(6) + 1
    torch.set_rng_state(before)
