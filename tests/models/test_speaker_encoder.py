"""What the speaker encoder hears, and that its embedded weights tell speakers apart."""

import numpy as np
import pytest
import torch

from models.audio import Pcm
from models.conv_tts.cloning import speak_together
from models.conv_tts.model import load as load_voice
from models.conv_tts.record import Character, Timbre
from models.speaker_encoder import model
from models.speaker_encoder.features import FEATURES, HOP_SAMPLES, MEL_BANDS, SAMPLE_RATE_HZ, mel_bands, speaker_features
from models.speaker_encoder.model import SpeakerEncoder
from models.speaker_encoder.network import EMBEDDING_SIZE, SpeakerNetwork
from models.speech import Phone, Utterance

TEXTS = (
    "_ ð ə b ɹ aʊ n d ɔ ɡ w ɑ z s l i p ɪ ŋ b aɪ ð ə w ɔ ɹ m f aɪ ɚ .",
    "_ m eɪ b i w i ʃ ʊ d k ɔ l h ɚ b ɪ f ɔ ɹ ð ə s t ɔ ɹ k l oʊ z ɪ z .",
)


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    torch.set_num_threads(1)
    return model.load()


@pytest.fixture(scope="module")
def spoken() -> list[list[Pcm]]:
    """Two sentences by each of four voices, and the same again, far away and in noise."""
    synthesizer = load_voice("cpu", 8)
    segments = [Utterance(phones=tuple(Phone(symbol, int(symbol in "aʊɔaɪeɪi")) for symbol in text.split())) for text in TEXTS]
    high = Timbre((("slt", 1.0),), Character(log_f0=0.3, log_formants=0.12)).to_voice()
    voices = [*synthesizer.info.voices[:3], high]
    waves = speak_together(synthesizer, [(voice, [segment]) for voice in voices for segment in segments])
    return [waves[row : row + 2] for row in range(0, 8, 2)]


def test_features_do_not_know_the_level(spoken: list[list[Pcm]]) -> None:
    loud = speaker_features(spoken[0][0])
    quiet = speaker_features(spoken[0][0] * np.float32(0.02))
    assert loud.shape == (len(spoken[0][0]) // HOP_SAMPLES, FEATURES)
    np.testing.assert_allclose(loud, quiet, atol=0.02)
    assert speaker_features(np.zeros(100, np.float32)).shape == (0, FEATURES)
    assert np.isfinite(speaker_features(np.zeros(SAMPLE_RATE_HZ, np.float32))).all()


def test_mel_bands_follow_a_tone() -> None:
    assert mel_bands().shape[0] == MEL_BANDS
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    strongest = [
        int(speaker_features(np.sin(2 * np.pi * hz * time_s).astype(np.float32))[20, :MEL_BANDS].argmax())
        for hz in (200, 800, 2000, 5000)
    ]
    assert strongest == sorted(set(strongest))


@torch.inference_mode()
def test_network_takes_any_length() -> None:
    network = SpeakerNetwork(channels=16).eval()
    for frames in (1, 5, 200):
        heard = network(torch.randn(2, frames, FEATURES))
        assert heard.embedding.shape == (2, EMBEDDING_SIZE)
        torch.testing.assert_close(heard.embedding.norm(dim=1), torch.ones(2))


def test_too_short_is_refused(encoder: SpeakerEncoder) -> None:
    with pytest.raises(ValueError, match="too short"):
        encoder.hear(np.zeros(1000, np.float32))


def test_long_recordings_are_heard_whole(encoder: SpeakerEncoder, spoken: list[list[Pcm]]) -> None:
    """Half of one speaker and half of another is neither."""
    one, other = (np.tile(waves[0], 3) for waves in spoken[:2])
    both = encoder.hear(np.concatenate([one, other])).embedding
    assert float(both @ encoder.hear(one).embedding) < 0.97
    assert float(both @ encoder.hear(other).embedding) < 0.97


def test_speakers_are_told_apart_by_other_words_from_afar(encoder: SpeakerEncoder, spoken: list[list[Pcm]]) -> None:
    rng = np.random.default_rng(5)
    near = [encoder.hear(waves[0] * np.float32(0.3)).embedding for waves in spoken]
    far = []
    for waves in spoken:
        noise = 0.01 * waves[1].std() * 10 ** (10 / 20) * rng.standard_normal(len(waves[1]))
        far.append(encoder.hear((waves[1] + noise).astype(np.float32)).embedding)
    similarity = np.stack(far) @ np.stack(near).T
    assert (similarity.argmax(1) == np.arange(4)).all(), similarity.round(2)
    assert np.diag(similarity).min() > 0.6
    assert (np.diag(similarity) - (similarity - 2 * np.eye(4)).max(1)).min() > 0.1


def test_vocal_tract_is_guessed(encoder: SpeakerEncoder, spoken: list[list[Pcm]]) -> None:
    plain, high = (encoder.hear(spoken[row][0]).log_formants for row in (1, 3))
    assert high - plain == pytest.approx(0.12, abs=0.08)
