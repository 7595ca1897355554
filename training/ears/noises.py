"""Signals that hold no words: noise to add to speech, and whole items whose transcript is empty."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SAMPLE_RATE_HZ = 16_000


def coloured_noise(rng: np.random.Generator, samples: int, exponent: float) -> Floats:
    """Noise with power 1/f**exponent and unit variance: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(samples).astype(np.float32))
    bins = np.maximum(np.arange(len(spectrum), dtype=np.float32), max(1.0, samples * 20 / SAMPLE_RATE_HZ))
    noise = np.fft.irfft(spectrum / bins ** (exponent / 2), samples)
    return unit(noise)


def unit(signal: NDArray[np.floating]) -> Floats:
    """The signal scaled to unit variance."""
    scaled: Floats = (signal / max(float(np.std(signal)), 1e-9)).astype(np.float32)
    return scaled


def _time(samples: int) -> NDArray[np.float64]:
    return np.arange(samples) / SAMPLE_RATE_HZ


def noise(rng: np.random.Generator, samples: int) -> Floats:
    return coloured_noise(rng, samples, float(rng.choice([0.0, 0.5, 1.0, 1.5, 2.0])))


def modulated_noise(rng: np.random.Generator, samples: int) -> Floats:
    """Noise whose loudness beats at 0.5 to 12 Hz, softly or on and off."""
    beat = np.sin(2 * np.pi * rng.uniform(0.5, 12) * _time(samples) + rng.uniform(0, 6.3))
    envelope = (beat > rng.uniform(-0.5, 0.5)) if rng.random() < 0.4 else 0.5 + 0.5 * beat
    return unit(coloured_noise(rng, samples, float(rng.uniform(0, 2))) * (envelope + rng.uniform(0, 0.2)))


def band_noise(rng: np.random.Generator, samples: int) -> Floats:
    """Noise through a few slowly moving resonances: wind, waves, crowds."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(spectrum))
    gain = 0.02 * np.ones_like(hz)
    for _ in range(int(rng.integers(1, 5))):
        gain += np.exp(-(((hz - rng.uniform(100, 5000)) / rng.uniform(50, 800)) ** 2))
    slow = np.repeat(rng.uniform(0.1, 1.0, samples // 4000 + 2), 4000)[:samples]
    return unit(np.fft.irfft(spectrum * gain, samples) * np.convolve(slow, np.ones(2000) / 2000, "same"))


def hum(rng: np.random.Generator, samples: int) -> Floats:
    """Mains hum at 50 or 60 Hz with random harmonics and a little noise."""
    base_hz = float(rng.choice([50.0, 60.0, rng.uniform(40, 400)]))
    signal = sum(
        rng.uniform(0, 1) / k * np.sin(2 * np.pi * k * base_hz * _time(samples) + rng.uniform(0, 6.3))
        for k in range(1, int(rng.integers(2, 16)))
        if k * base_hz < 7800
    )
    return unit(signal + rng.uniform(0, 0.1) * rng.standard_normal(samples))


def tones(rng: np.random.Generator, samples: int) -> Floats:
    """Steady tones, dual tones (telephone keys) or chords."""
    count = int(rng.integers(1, 5))
    signal = np.zeros(samples)
    for _ in range(count):
        signal += rng.uniform(0.3, 1) * np.sin(2 * np.pi * rng.uniform(80, 4000) * _time(samples))
    return unit(signal)


def beeps(rng: np.random.Generator, samples: int) -> Floats:
    """Pulsed tones, sine or square, steady or frequency modulated."""
    time = _time(samples)
    sweep = rng.uniform(0, 0.8) * np.sin(2 * np.pi * rng.uniform(0.2, 12) * time)
    hz = rng.uniform(150, 3000) * (1 + sweep * float(rng.random() < 0.6))
    wave = np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE_HZ)
    if rng.random() < 0.5:
        wave = np.sign(wave)
    period, duty = rng.uniform(0.08, 2.0), rng.uniform(0.2, 0.9)
    gate = ((time + rng.uniform(0, 2)) % period) < duty * period
    return unit(wave * gate + rng.uniform(0, 0.02) * rng.standard_normal(samples))


def clicks(rng: np.random.Generator, samples: int) -> Floats:
    """Clicks, knocks and keyboard-like bursts."""
    signal = rng.uniform(0, 0.02) * rng.standard_normal(samples)
    for start in rng.integers(0, samples, max(1, int(samples / SAMPLE_RATE_HZ * rng.uniform(0.5, 12)))):
        length = min(int(rng.integers(8, 1600)), samples - int(start))
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / max(2, length / 6))
        if rng.random() < 0.5:
            burst = burst * np.sin(2 * np.pi * rng.uniform(80, 3000) * np.arange(length) / SAMPLE_RATE_HZ)
        signal[start : start + length] += rng.uniform(0.2, 3) * burst
    return unit(signal)


def music(rng: np.random.Generator, samples: int) -> Floats:
    """Notes of a scale with decaying harmonics, a few voices at once."""
    signal = np.zeros(samples)
    for _ in range(int(rng.integers(1, 4))):
        position, note_s = 0, rng.uniform(0.12, 0.8)
        while position < samples:
            length = min(int(SAMPLE_RATE_HZ * note_s * rng.choice([0.5, 1, 2])), samples - position)
            hz = 110 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11]) / 12 + rng.integers(0, 4))
            time = _time(length)
            decay = np.exp(-time * rng.uniform(0.5, 8))
            for harmonic in range(1, int(rng.integers(2, 8))):
                if hz * harmonic < 7800:
                    signal[position : position + length] += decay * np.sin(2 * np.pi * hz * harmonic * time) / harmonic
            position += max(length, 1)
    return unit(signal)


def silence(rng: np.random.Generator, samples: int) -> Floats:
    """Digital silence, or dither."""
    return np.zeros(samples, np.float32) if rng.random() < 0.5 else noise(rng, samples) * np.float32(1e-3)


def babble(rng: np.random.Generator, voices: list[Floats], samples: int, talkers: int) -> Floats:
    """Many talkers at once, from whole utterances: nobody can be understood."""
    signal = np.zeros(samples, np.float32)
    for _ in range(talkers):
        position = -int(rng.integers(0, SAMPLE_RATE_HZ))
        gain = np.float32(rng.uniform(0.5, 1.0))
        while position < samples:
            voice = voices[int(rng.integers(len(voices)))]
            skip = max(0, -position)
            piece = voice[skip : skip + samples - max(position, 0)]
            begin = max(position, 0)
            signal[begin : begin + len(piece)] += gain * unit(voice)[skip : skip + len(piece)]
            position += max(len(voice), 1600)
    return unit(signal)


WORDLESS: tuple[tuple[float, Callable[[np.random.Generator, int], Floats]], ...] = (
    (0.1, silence), (0.18, noise), (0.12, modulated_noise), (0.1, band_noise), (0.08, hum),
    (0.08, tones), (0.16, beeps), (0.08, clicks), (0.1, music),
)  # fmt: skip
"""Kinds of wordless items with their shares."""


def wordless(rng: np.random.Generator, samples: int) -> Floats:
    """A random wordless signal of unit variance (or silence), now and then two kinds in turn or mixed."""
    shares = np.array([share for share, _ in WORDLESS])
    first, second = rng.choice(len(WORDLESS), 2, p=shares / shares.sum())
    signal: Floats = WORDLESS[first][1](rng, samples)
    if rng.random() < 0.25:
        signal = signal + np.float32(rng.uniform(0.1, 1)) * WORDLESS[second][1](rng, samples)
    return signal
