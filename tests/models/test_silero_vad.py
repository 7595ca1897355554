"""Voice activity: streams in a batch, speech against sounds that are none."""

import importlib.util

import numpy as np
import pytest
import soxr

from models.audio import Pcm
from models.registry import load_synthesizer
from models.silero_vad import FRAME_SAMPLES, SAMPLE_RATE_HZ, SileroDetector, find_weights
from models.speaking import audio_of, say
from server.engine.speech.text_feed import read_whole
from server.text.frontend import TextFrontEnd
from training.ears import noises


@pytest.fixture(scope="module")
def detector() -> SileroDetector:
    return SileroDetector()


def probabilities(detector: SileroDetector, pcm: Pcm) -> list[float]:
    state, found = detector.init_state(), []
    for at in range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        probability, state = detector.step(pcm[at : at + FRAME_SAMPLES], state)
        found.append(probability)
    return found


@pytest.mark.parametrize("name", ["noise", "hum", "tones", "beeps", "clicks"])
def test_sounds_without_words_are_no_speech(detector: SileroDetector, name: str) -> None:
    pcm = getattr(noises, name)(np.random.default_rng(3), 10 * SAMPLE_RATE_HZ)
    found = probabilities(detector, (0.3 * pcm / np.max(np.abs(pcm))).astype(np.float32))
    assert max(found) < 0.7
    assert np.mean(np.array(found) > 0.5) < 0.02


@pytest.fixture(scope="module")
def spoken() -> Pcm:
    """A sentence of the embedded voice at 16 kHz."""
    model = load_synthesizer("conv_tts", "cpu", 1)
    (text,) = read_whole(TextFrontEnd(), "The small boat drifted slowly along the river.")
    spoken = audio_of(say(model, model.info.voices[0], [text.utterance]))
    resampled: Pcm = soxr.resample(spoken, model.info.sample_rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
    return resampled


def test_speech_is_found_where_it_is(detector: SileroDetector, spoken: Pcm) -> None:
    second = np.zeros(SAMPLE_RATE_HZ, np.float32)
    found = np.array(probabilities(detector, np.concatenate([second, spoken, second])))
    frames = np.flatnonzero(found > 0.5) * FRAME_SAMPLES / SAMPLE_RATE_HZ
    length_s = len(spoken) / SAMPLE_RATE_HZ
    assert 1.0 <= frames[0] < 1.4
    assert 0.4 + length_s < frames[-1] < 1.3 + length_s
    assert len(frames) * FRAME_SAMPLES / SAMPLE_RATE_HZ > 0.6 * length_s


def test_silence_is_no_speech(detector: SileroDetector) -> None:
    assert max(probabilities(detector, np.zeros(SAMPLE_RATE_HZ, np.float32))) < 0.2


def test_streams_of_a_batch_do_not_hear_each_other(detector: SileroDetector) -> None:
    rng = np.random.default_rng(0)
    streams = [(rng.standard_normal((6, FRAME_SAMPLES)) * level).astype(np.float32) for level in (0.01, 0.1, 0.5)]
    alone = [probabilities(detector, stream.reshape(-1)) for stream in streams]
    states = [detector.init_state() for _ in streams]
    for frame in range(6):
        batch = detector.step_batch([stream[frame] for stream in streams], states)
        states = [state for _, state in batch]
        assert [probability for probability, _ in batch] == pytest.approx([found[frame] for found in alone], abs=1e-5)


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install 'silero-vad"):
        find_weights()
