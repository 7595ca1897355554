import numpy as np
import pytest
from numpy.typing import NDArray

from models.whisper.features import FeatureSettings, log_mel, mel_filters, mel_power

OPENAI = FeatureSettings(hop_samples=160, fft_samples=400)


def signal(seconds: float) -> NDArray[np.float32]:
    """A sweep with some noise."""
    rng = np.random.default_rng(5)
    time = np.arange(int(seconds * 16_000)) / 16_000
    sweep = 0.3 * np.sin(2 * np.pi * (100 + 600 * time) * time) * (1 + np.sin(3 * time))
    noisy: NDArray[np.float32] = (sweep + 0.01 * rng.standard_normal(len(time))).astype(np.float32)
    return noisy


@pytest.mark.parametrize(("settings", "chunk_s"), [(FeatureSettings(), 60), (OPENAI, 30)])
def test_equal_to_transformers(settings: FeatureSettings, chunk_s: int) -> None:
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(
        feature_size=80, hop_length=settings.hop_samples, n_fft=settings.fft_samples, chunk_length=chunk_s
    )
    pcm = np.pad(signal(3.0), (0, (chunk_s - 3) * 16_000))
    expected = extractor(pcm, sampling_rate=16_000, return_tensors="np").input_features[0]
    assert np.abs(log_mel(pcm, settings).T - expected).max() < 1e-4


@pytest.mark.parametrize("settings", [FeatureSettings(), OPENAI])
def test_equal_to_faster_whisper(settings: FeatureSettings) -> None:
    extractor_module = pytest.importorskip("faster_whisper.feature_extractor")
    extractor = extractor_module.FeatureExtractor(hop_length=settings.hop_samples, n_fft=settings.fft_samples)
    pcm = signal(2.5)
    expected = extractor(pcm)
    ours = log_mel(pcm, settings).T
    assert np.abs(ours - expected[:, : ours.shape[1]]).max() < 1e-4


def test_frames_and_very_short_audio() -> None:
    assert log_mel(signal(1.0)).shape == (50, 80)
    assert log_mel(np.zeros(3, np.float32)).shape == (0, 80)
    assert log_mel(np.zeros(400, np.float32)).shape == (1, 80)


def test_a_tone_is_loudest_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    loudest = int(mel_power(tone).mean(axis=0).argmax())
    bins_hz = np.linspace(0, 8000, 257)
    centre_hz = bins_hz[int(mel_filters(FeatureSettings())[:, loudest].argmax())]
    assert abs(centre_hz - 1000) < 60


def test_refuses_a_hop_that_does_not_divide() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        _ = FeatureSettings(hop_samples=321).frames_per_second
