"""The conv_tts network: phones to durations and pitch, then frames to vocoder parameters.

Phones are encoded a segment at a time (separable convolution blocks as in ConvNeXt,
Liu et al. 2022, and self-attention), which also settles durations and pitch, both at
phone rate. The decoder runs at frame rate, causally, with its state as an argument,
so a stream can stop after any frame and go on later.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.layer_norm import layer_norm
from models.conv_tts.config import MOST_VOICED, ConvTtsConfig
from models.streaming import CausalConv

PITCH_KNOTS = 4
"""Pitch values per phone; straight lines run between them, also across phones."""

POSITION_FEATURES = 8
_STRESSES = 3


class LayerNorm(nn.Module):
    """Layer normalisation over the last dimension."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.weight, self.bias, 1e-5)


class ConvBlock(nn.Module):
    """Depthwise convolution over time, then a two-layer network per position, as a residual."""

    def __init__(self, channels: int, expansion: int, kernel_frames: int) -> None:
        super().__init__()
        self.conv = CausalConv(channels, kernel_frames)
        self.norm = LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion)
        self.narrow = nn.Linear(expansion, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor, state: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Causal: [B, T, C] and the state [B, K-1, C] to the same."""
        mixed, state = self.conv(x, state, lengths)
        return x + self._change(mixed), state

    def centred(self, x: Tensor, mask: Tensor) -> Tensor:
        """Looking both ways; ``mask`` [B, P, 1] is 0 past a row's end."""
        ahead = self.conv.kernel_frames // 2
        padded = F.pad(x, (0, 0, 0, ahead))
        mixed, _ = self.conv(padded, self.conv.init_state(len(x), x.device, x.dtype))
        return mask * (x + self._change(mixed[:, ahead:]))

    def to_bfloat16(self) -> None:
        """Halve the cost of the two layers where the processor has such products: a sixth of all synthesis on one
        AMD EPYC core, side by side. A frame's result does not depend on how many others it is computed with."""
        self.widen.bfloat16()
        self.narrow.bfloat16()

    def _change(self, mixed: Tensor) -> Tensor:
        """What the two layers add, [..., C]; they may be of another precision than the rest."""
        normal = self.norm(mixed).to(self.widen.weight.dtype)
        change: Tensor = self.scale * self.narrow(F.gelu(self.widen(normal)))
        return change


class Attention(nn.Module):
    """Self-attention over the phones of a segment, as a residual."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, P, C] with ``mask`` [B, P, 1], 0 past a row's end."""
        rows, phones, channels = x.shape
        qkv = self.qkv(self.norm(x)).view(rows, phones, 3, self.heads, channels // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        visible = mask[:, None, None, :, 0].bool()
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        change: Tensor = self.out(y.transpose(1, 2).reshape(rows, phones, channels))
        return x + mask * change


class Encoding(NamedTuple):
    """What the encoder says about a batch of segments."""

    phones: Tensor
    """[B, P, C]."""
    log_durations: Tensor
    """[B, P], natural log of frames."""
    pitch: Tensor
    """[B, P, knots], relative to the speaker's mean, 1 = `pitch_spread` in log F0."""


class ConvTts(nn.Module):
    """The whole network but the vocoder, which has no parameters."""

    def __init__(self, config: ConvTtsConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.phone_embedding = nn.Embedding(config.phones, channels)
        self.stress_embedding = nn.Embedding(_STRESSES, channels)
        self.word_start_embedding = nn.Embedding(2, channels)
        self.speaker_embedding = nn.Embedding(len(config.speakers), channels)

        def blocks(count: int) -> nn.ModuleList:
            return nn.ModuleList([ConvBlock(channels, config.expansion, config.kernel_frames) for _ in range(count)])

        self.encoder = blocks(config.encoder_blocks)
        self.attention = nn.ModuleList([Attention(channels, config.attention_heads) for _ in range(config.attention_blocks)])
        self.encoder_norm = LayerNorm(channels)
        self.duration_blocks = blocks(config.duration_blocks)
        self.duration_out = nn.Linear(channels, 1)
        self.pitch_blocks = blocks(config.pitch_blocks)
        self.pitch_out = nn.Linear(channels, PITCH_KNOTS)
        self.position_in = nn.Linear(POSITION_FEATURES, channels)
        self.decoder_speaker = nn.Embedding(len(config.speakers), channels)
        self.decoder = blocks(config.decoder_blocks)
        self.decoder_norm = LayerNorm(channels)
        self.decoder_out = nn.Linear(channels, config.cepstrum_order + config.bands)
        for name, value in (
            ("cepstrum_mean", torch.zeros(config.cepstrum_order)),
            ("cepstrum_spread", torch.ones(config.cepstrum_order)),
            ("speaker_log_f0", torch.full((len(config.speakers),), math.log(120.0))),
            ("pitch_spread", torch.tensor(0.2)),
        ):
            self.register_buffer(name, value)
        self.cepstrum_mean: Tensor
        self.cepstrum_spread: Tensor
        self.speaker_log_f0: Tensor
        self.pitch_spread: Tensor

    def encode(self, phones: Tensor, stress: Tensor, word_start: Tensor, speakers: Tensor, mask: Tensor) -> Encoding:
        """Encode segments.

        Args:
            phones, stress, word_start: [B, P] int64.
            speakers: [B, speakers] weights that add up to 1.
            mask: [B, P, 1], 1 for phones, 0 past a row's end.
        """
        x = self.phone_embedding(phones) + self.stress_embedding(stress) + self.word_start_embedding(word_start)
        x = mask * (x + (speakers @ self.speaker_embedding.weight)[:, None])
        attention = list(self.attention)
        for index, block in enumerate(self.encoder):
            x = block.centred(x, mask)  # type: ignore[operator]
            # Attention comes late: it compares phones that know their neighbours.
            if index >= len(self.encoder) - len(attention):
                x = attention[index - len(self.encoder) + len(attention)](x, mask)
        x = mask * self.encoder_norm(x)
        d = p = x
        for block in self.duration_blocks:
            d = block.centred(d, mask)  # type: ignore[operator]
        for block in self.pitch_blocks:
            p = block.centred(p, mask)  # type: ignore[operator]
        return Encoding(x, 2.0 + self.duration_out(d)[..., 0].float(), self.pitch_out(p).float())

    def init_state(self, rows: int, device: torch.device | str = "cpu") -> Tensor:
        """The decoder's state before the first frame, [B, blocks, K-1, C]."""
        config = self.config
        return torch.zeros(rows, config.decoder_blocks, config.kernel_frames - 1, config.channels, device=device)

    def decode(
        self, phones: Tensor, positions: Tensor, speakers: Tensor, state: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Frames to vocoder parameters, causally.

        Args:
            phones: [B, T, C], the encoding of each frame's phone.
            positions: [B, T, features] from `position_features`.
            speakers: [B, speakers] weights.
            state: [B, blocks, K-1, C] from `init_state` or the call before.
            lengths: [B], how many frames of each row are real; None means all.

        Returns:
            cepstrum [B, T, order], voicing [B, T, bands] in 0..`MOST_VOICED`, and the new state.
        """
        x = phones + self.position_in(positions) + (speakers @ self.decoder_speaker.weight)[:, None]
        states = []
        for index, block in enumerate(self.decoder):
            x, stepped = block(x, state[:, index], lengths)
            states.append(stepped)
        y = self.decoder_out(self.decoder_norm(x)).float()
        order = self.config.cepstrum_order
        cepstrum = self.cepstrum_mean + self.cepstrum_spread * y[..., :order]
        return cepstrum, MOST_VOICED * torch.sigmoid(y[..., order:]), torch.stack(states, 1)


def position_features(index_frames: Tensor, duration_frames: Tensor) -> Tensor:
    """Where in its phone a frame lies: [...] frame index and [...] phone duration to [..., features]."""
    index, duration = index_frames.float(), duration_frames.float()
    left = duration - 1 - index
    share = (index + 0.5) / duration
    return torch.stack(
        (
            share, share.square(), (index / 20).clamp_max(1), (left / 20).clamp_max(1),
            torch.exp(-index / 3), torch.exp(-left / 3), duration.log() / 4, 1 / duration,
        ),
        -1,
    )  # fmt: skip


def pitch_at(pitch: Tensor, phone: Tensor, share: Tensor) -> Tensor:
    """Pitch contour at frames.

    Args:
        pitch: [B, P, knots].
        phone: [B, T] int64, the phone of each frame.
        share: [B, T], how much of its phone has passed, 0..1.

    Returns:
        [B, T], read on the straight lines between the knots, which lie evenly inside each phone.
    """
    knots = pitch.flatten(1)
    place = (phone * PITCH_KNOTS + share * PITCH_KNOTS - 0.5).clamp(0, knots.shape[1] - 1)
    below = place.long().clamp_max(knots.shape[1] - 2)
    rest = place - below
    return knots.gather(1, below) * (1 - rest) + knots.gather(1, below + 1) * rest
