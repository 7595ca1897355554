"""The speaker encoder behind `models.voices.SpeakerEncoder`."""

from importlib.resources import as_file, files

import numpy as np
import torch

from models.audio import Pcm
from models.speaker_encoder.features import SAMPLE_RATE_HZ, speaker_features
from models.speaker_encoder.network import CHARACTER_NAMES, SpeakerNetwork
from models.voices import HeardSpeaker
from models.weights import load_weights

WEIGHTS = "speaker.safetensors"
WINDOW_S = 3.0
"""Longer recordings are heard in windows of this length, half over each other: training has 1.4 to 3 s."""


class SpeakerEncoder:
    """See `models.voices.SpeakerEncoder`. On the CPU: a clip of 10 s takes some 30 ms of one core, mostly pitch tracking."""

    def __init__(self, network: SpeakerNetwork) -> None:
        self._network = network.eval()

    def hear(self, pcm: Pcm) -> HeardSpeaker:
        """See `models.voices.SpeakerEncoder`. ValueError: less than 0.1 s of audio."""
        if len(pcm) < SAMPLE_RATE_HZ // 10:
            raise ValueError(f"{len(pcm) / SAMPLE_RATE_HZ:g} s of audio are too short to hear a speaker")
        features = speaker_features(pcm)
        size = min(len(features), round(WINDOW_S * len(features) * SAMPLE_RATE_HZ / len(pcm)))
        starts = range(0, len(features) - size + 1, max(1, size // 2))
        windows = np.stack([features[start : start + size] for start in starts])
        with torch.inference_mode():
            heard = self._network(torch.from_numpy(windows))
            embedding = torch.nn.functional.normalize(heard.embedding.mean(0), dim=0)
            said = heard.character.mean(0) * self._network.character_spread + self._network.character_mean
        character = dict(zip(CHARACTER_NAMES, said.tolist(), strict=True))
        return HeardSpeaker(embedding.numpy(), character["log_formants"], character["log_rate"])


def load() -> SpeakerEncoder:
    """The package's encoder.

    Raises:
        WeightsError: the package's weights do not fit this code.
    """
    network = SpeakerNetwork()
    with as_file(files("models.speaker_encoder") / "weights" / WEIGHTS) as path:
        load_weights(path, network)
    return SpeakerEncoder(network)
