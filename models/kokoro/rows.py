"""Rows of different lengths in one padded batch, such that no row feels its neighbours.

Three things would leak from one row's padding into its sound: a convolution reads past the end of the row, a norm over time
counts the padding in, a backward recurrence starts in it. Alone, a row sees zeros, nothing and its last frame there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

NORM_EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Rows:
    """How long each row of a batch is."""

    lengths: tuple[int, ...]
    mask: Tensor | None
    """[B, T], 1.0 where a row is real; None where all rows are equally long, so that nothing needs to be masked."""

    @classmethod
    def of(cls, lengths: tuple[int, ...], device: torch.device | str, dtype: torch.dtype = torch.float32) -> "Rows":
        if len(set(lengths)) == 1:
            return cls(lengths, None)
        real = torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]
        return cls(lengths, real.to(dtype))

    @property
    def longest(self) -> int:
        return max(self.lengths)

    def cut(self, x: Tensor) -> Tensor:
        """[B, C, T] with zeros past the end of each row, as a convolution wants it."""
        return x if self.mask is None else x * self.mask[:, None].to(x.dtype)

    def cut_frames(self, x: Tensor) -> Tensor:
        """As `cut`, for [B, T, C]."""
        return x if self.mask is None else x * self.mask[:, :, None].to(x.dtype)

    def times(self, factor: int, more: int = 0) -> "Rows":
        """The same rows at ``factor`` times the rate, ``more`` frames longer."""
        lengths = tuple(length * factor + more for length in self.lengths)
        return Rows(lengths, None) if self.mask is None else Rows.of(lengths, self.mask.device)


class StyledNorm(nn.Module):
    """Instance norm over time whose scale and shift come from a style (AdaIN; Huang & Belongie 2017)."""

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(style_dim, 2 * channels)

    def forward(self, x: Tensor, style: Tensor, rows: Rows) -> Tensor:
        """Normalise [B, C, T] over each row's own frames; ``style`` is [B, style]."""
        scale, shift = self.fc(style)[:, :, None].chunk(2, dim=1)
        if rows.mask is None:
            return torch.addcmul(shift.to(x.dtype), F.instance_norm(x, eps=NORM_EPS), (1 + scale).to(x.dtype))
        mask = rows.mask[:, None]
        count = mask.sum(2, keepdim=True)
        mean = (x * mask).sum(2, keepdim=True) / count
        centred = (x - mean) * mask  # float32, as the mask is
        variance = centred.square().sum(2, keepdim=True) / count
        return torch.addcmul(shift, centred * torch.rsqrt(variance + NORM_EPS), 1 + scale).to(x.dtype)


class BothWays(nn.LSTM):
    """A recurrence in both directions over each row's own frames."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs // 2, batch_first=True, bidirectional=True)

    def over(self, x: Tensor, rows: Rows) -> Tensor:
        """[B, T, inputs] to [B, T, outputs], zeros past the end of each row."""
        if rows.mask is None:
            return super().forward(x)[0]
        packed = pack_padded_sequence(x, torch.tensor(rows.lengths), batch_first=True, enforce_sorted=False)
        padded: Tensor = pad_packed_sequence(super().forward(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return padded
