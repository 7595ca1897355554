"""What the speaker encoder hears: log-mel bands, voicing and pitch, at one level."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.audio import Pcm
from models.pitch import track_pitch

Floats = NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 256
FFT_SAMPLES = 512
MEL_BANDS = 40
FEATURES = MEL_BANDS + 2
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7600.0
_FLOOR_DB = -60.0
_PITCH_CENTRE_HZ = 150.0


def speaker_features(pcm: Pcm) -> Floats:
    """Audio at 16 kHz [S] to [T, FEATURES], T = S // 256.

    Mel bands are natural logs, relative to the mean over the frames within 25 dB of the loudest, so that
    the level does not count; the last two columns are how periodic a frame is and, where it is voiced,
    its F0 in octaves from 150 Hz.
    """
    count = len(pcm) // HOP_SAMPLES
    if count == 0:
        return np.zeros((0, FEATURES), np.float32)
    padded = np.pad(np.asarray(pcm, np.float32), FFT_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES][:count]
    spectrum = np.fft.rfft(frames * np.hanning(FFT_SAMPLES).astype(np.float32))
    mel = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ mel_bands().T
    loudness = 10 * np.log10(np.maximum(mel.sum(1), 1e-10))
    loud = loudness >= loudness.max() - 25
    floor = np.float32(10 ** ((loudness.max() + _FLOOR_DB) / 10) / MEL_BANDS)
    log_mel = np.log(np.maximum(mel, max(floor, np.float32(1e-10))))
    log_mel -= log_mel[loud].mean()
    pitch = track_pitch(pcm, SAMPLE_RATE_HZ, HOP_SAMPLES)
    octaves = np.where(pitch.f0_hz > 0, np.log2(np.maximum(pitch.f0_hz, 1) / _PITCH_CENTRE_HZ), 0)
    return np.concatenate([log_mel / 3, pitch.strength[:, None], octaves[:, None]], axis=1).astype(np.float32)


@cache
def mel_bands() -> Floats:
    """Triangles on the mel scale of O'Shaughnessy (1987), [M, FFT // 2 + 1], each with an area of 1."""
    edges_hz = 700 * (np.exp(np.linspace(np.log1p(_LOWEST_HZ / 700), np.log1p(_HIGHEST_HZ / 700), MEL_BANDS + 2)) - 1)
    bins_hz = np.arange(FFT_SAMPLES // 2 + 1) * SAMPLE_RATE_HZ / FFT_SAMPLES
    rising = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    falling = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
    bands = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(bands / bands.sum(1, keepdims=True), dtype=np.float32)
