"""Who sounds like whom: three judges of speakers that share no code or data with each other.

``encoder``: the package's own. ``d-vector``: a network trained on 1 800 hours of real people (Wan et al. 2018), from the
wheel Resemblyzer 0.1.4 (Apache-2.0), of which only the weights are used: ``pip install --no-deps Resemblyzer==0.1.4``.
``cepstra``: means and spreads of mel-cepstra, no training at all.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.speech_measures import mel_cepstra
from models.audio import Pcm
from models.speaker_encoder.model import load

Floats = NDArray[np.float64]
Judge = Callable[[Pcm], Floats]
"""16 kHz audio to a point; the nearer two points by dot product, the more alike the speakers."""

RATE_HZ = 16_000
_LOUDNESS_DB = -30.0
_WINDOW_FRAMES, _STRIDE_FRAMES = 160, 80


def judges() -> dict[str, Judge]:
    """All that can be had here; the d-vector only where its weights are installed."""
    encoder = load()
    found: dict[str, Judge] = {"encoder": lambda pcm: encoder.hear(pcm).embedding.astype(np.float64), "cepstra": _cepstra}
    weights = _d_vector_weights()
    if weights is not None:
        found["d-vector"] = _DVector(weights)
    return found


def _d_vector_weights() -> Path | None:
    spec = importlib.util.find_spec("resemblyzer")
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    return Path(folder) / "pretrained.pt" if folder else None


class _DVector:
    """Three LSTM layers over 40 mel bands of power, windows of 1.6 s averaged."""

    def __init__(self, weights: Path) -> None:
        self._lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self._linear = nn.Linear(256, 256)
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        for prefix, module in (("lstm.", self._lstm), ("linear.", self._linear)):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        self._mel = _slaney_mel(40, 400)

    @torch.inference_mode()
    def __call__(self, pcm: Pcm) -> Floats:
        pcm = pcm * 10 ** (_LOUDNESS_DB / 20) / np.sqrt(np.mean(pcm**2))
        padded = np.pad(pcm.astype(np.float64), 200)
        frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160] * (
            0.5 - 0.5 * np.cos(np.arange(400) * np.pi / 200)
        )
        mel = (np.abs(np.fft.rfft(frames)) ** 2 @ self._mel.T).astype(np.float32)
        starts = range(0, max(1, len(mel) - _WINDOW_FRAMES + 1), _STRIDE_FRAMES)
        windows = np.stack([np.pad(m := mel[s : s + _WINDOW_FRAMES], ((0, _WINDOW_FRAMES - len(m)), (0, 0))) for s in starts])
        _, (hidden, _) = self._lstm(torch.from_numpy(windows))
        parts = torch.relu(self._linear(hidden[-1])).numpy().astype(np.float64)
        mean = (parts / np.linalg.norm(parts, axis=1, keepdims=True)).mean(0)
        return np.asarray(mean / np.linalg.norm(mean))


def _slaney_mel(bands: int, fft_samples: int) -> Floats:
    """[bands, bins], 0 to 8 kHz, triangles of equal area: what the d-vector was trained on."""
    step = 200 / 3
    top = 15 + np.log(8) / np.log(6.4) * 27
    mel = np.linspace(0, top, bands + 2)
    edges_hz = np.where(mel < 15, mel * step, 1000 * 6.4 ** ((mel - 15) / 27))
    bins_hz = np.arange(fft_samples // 2 + 1) * RATE_HZ / fft_samples
    rising = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    falling = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * (2 / (edges_hz[2:] - edges_hz[:-2]))[:, None])


def _cepstra(pcm: Pcm) -> Floats:
    """Means and spreads of 24 mel-cepstra over loud frames, as they are; `spread_out` makes them comparable."""
    frames = np.lib.stride_tricks.sliding_window_view(pcm, 640)[::80]
    loud = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    cepstra = mel_cepstra(pcm)[loud > loud.max() - 25]
    return np.concatenate([cepstra.mean(0), np.log(cepstra.std(0))])


def spread_out(points: dict[str, list[Floats]]) -> Callable[[Floats], Floats]:
    """Scale for the cepstra: each coordinate by its spread between speakers, then to unit length around the mean."""
    means = np.stack([np.mean(rows, axis=0) for rows in points.values()])
    centre, spread = means.mean(0), means.std(0) + 1e-6

    def normal(point: Floats) -> Floats:
        scaled = (point - centre) / spread
        return np.asarray(scaled / np.linalg.norm(scaled))

    return normal
