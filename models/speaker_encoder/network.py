"""The speaker encoder: time-delay blocks, statistics over time, a point on the unit sphere (x-vectors, Snyder et al. 2018).

A second output says which character of our own voices comes nearest; it was trained on those voices, where it is known.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.speaker_encoder.features import FEATURES

EMBEDDING_SIZE = 192
"""As many numbers as Cartesia's voice embeddings have."""

CHARACTER_NAMES = ("log_f0_hz", "log_pitch_spread", "log_formants", "voicing_logit", "log_rate")
"""What the head says about a voice: median F0, then the fields of `models.voices.Character`."""


class Heard(NamedTuple):
    embedding: Tensor
    """[B, 192], length 1."""
    character: Tensor
    """[B, characters], in the order of CHARACTER_NAMES, normalised by `character_mean` and `character_spread`."""
    speakers: Tensor
    """[B, speakers], log weights of the base speakers before softmax."""


class Block(nn.Module):
    """Dilated depthwise convolution, then two layers per frame, as a residual; [B, C, T] to the same."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 5, padding=2 * dilation, dilation=dilation, groups=channels)
        self.norm = nn.GroupNorm(1, channels)
        self.widen = nn.Conv1d(channels, 2 * channels, 1)
        self.narrow = nn.Conv1d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.narrow(F.relu(self.widen(self.norm(self.conv(x)))))
        return x + change


class SpeakerNetwork(nn.Module):
    def __init__(self, channels: int = 128, speakers: int = 3) -> None:
        super().__init__()
        self.front = nn.Conv1d(FEATURES, channels, 7, stride=3, padding=3)
        self.blocks = nn.ModuleList([Block(channels, dilation) for dilation in (1, 2, 3, 4)])
        self.attention = nn.Conv1d(channels, channels, 1)
        self.embed = nn.Linear(2 * channels, EMBEDDING_SIZE)
        self.head = nn.Linear(2 * channels, 128)
        self.character_out = nn.Linear(128, len(CHARACTER_NAMES) + speakers)
        self.register_buffer("character_mean", torch.zeros(len(CHARACTER_NAMES)))
        self.register_buffer("character_spread", torch.ones(len(CHARACTER_NAMES)))
        self.character_mean: Tensor
        self.character_spread: Tensor

    def forward(self, features: Tensor) -> Heard:
        """[B, T, FEATURES] with T of at least 1."""
        x = F.relu(self.front(features.transpose(1, 2)))
        for block in self.blocks:
            x = block(x)
        weights = torch.softmax(self.attention(x), 2)
        mean = (weights * x).sum(2)
        spread = ((weights * x.square()).sum(2) - mean.square()).clamp_min(1e-5).sqrt()
        pooled = torch.cat((mean, spread), 1)
        said = self.character_out(F.relu(self.head(pooled)))
        count = len(CHARACTER_NAMES)
        return Heard(F.normalize(self.embed(pooled), dim=1), said[:, :count], said[:, count:])
