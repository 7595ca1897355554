"""What happens to a voice between mouth and ear: telephone, room, noise, tilt. Audio is float32 at 16 kHz."""

import numpy as np
import soxr
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SAMPLE_RATE_HZ = 16_000
_MU = 255.0


def mu_law(pcm: Floats) -> Floats:
    """8-bit mu-law (ITU-T G.711) there and back."""
    compressed = np.sign(pcm) * np.log1p(_MU * np.abs(np.clip(pcm, -1, 1))) / np.log1p(_MU)
    steps = np.round(compressed * 127.0) / 127.0
    expanded: Floats = (np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU).astype(np.float32)
    return expanded


def telephone(pcm: Floats) -> Floats:
    """8 kHz mu-law, as a phone call carries it, back at 16 kHz; the length stays."""
    narrow = mu_law(soxr.resample(pcm, SAMPLE_RATE_HZ, 8000, quality="MQ").astype(np.float32))
    wide = soxr.resample(narrow, 8000, SAMPLE_RATE_HZ, quality="MQ").astype(np.float32)
    return np.pad(wide[: len(pcm)], (0, max(0, len(pcm) - len(wide))))


def reverberate(pcm: Floats, rng: np.random.Generator) -> Floats:
    """A room: exponentially decaying noise (RT60 0.1 to 0.6 s) after the direct sound."""
    rt60_s = rng.uniform(0.1, 0.6)
    tail = rng.standard_normal(int(rt60_s * SAMPLE_RATE_HZ)).astype(np.float32)
    tail *= np.exp(-6.9 * np.arange(len(tail)) / len(tail)).astype(np.float32)
    tail[: int(rng.uniform(0.001, 0.02) * SAMPLE_RATE_HZ)] = 0
    tail *= np.float32(rng.uniform(0.1, 0.7) / max(float(np.sqrt((tail**2).sum())), 1e-6))
    tail[0] = 1.0
    size = 1 << (len(pcm) + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(pcm, size) * np.fft.rfft(tail, size), size)[: len(pcm)]
    return wet.astype(np.float32)


def add_noise(pcm: Floats, noise: Floats, snr_db: float) -> Floats:
    """Noise at a signal-to-noise ratio over the whole of the signal."""
    power = float(np.mean(pcm**2))
    noise_power = max(float(np.mean(noise**2)), 1e-12)
    gain = np.sqrt(power / noise_power / 10 ** (snr_db / 10))
    return (pcm + np.float32(gain) * noise[: len(pcm)]).astype(np.float32)


def set_peak(pcm: Floats, peak: float) -> Floats:
    scaled: Floats = pcm * np.float32(peak / max(float(np.abs(pcm).max(initial=0.0)), 1e-6))
    return scaled
