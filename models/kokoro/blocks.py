"""Styled convolution blocks at the rate of frames, for prosody and decoder alike."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from models.kokoro.convs import Conv
from models.kokoro.rows import Rows, StyledNorm

SLOPE = 0.2


class StyledBlock(nn.Module):
    """Two convolutions around a shortcut, each after a styled norm; ``doubles`` makes two frames of each."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, doubles: bool = False) -> None:
        super().__init__()
        self.doubles = doubles
        self.norm1 = StyledNorm(style_dim, inputs)
        self.norm2 = StyledNorm(style_dim, outputs)
        self.conv1 = Conv(inputs, outputs, 3, padding=1)
        self.conv2 = Conv(outputs, outputs, 3, padding=1)
        self.shortcut = Conv(inputs, outputs, 1, bias=False) if inputs != outputs else None
        self.pool = (
            nn.ConvTranspose1d(inputs, inputs, 3, stride=2, groups=inputs, padding=1, output_padding=1) if doubles else None
        )

    def forward(self, x: Tensor, style: Tensor, rows: Rows) -> tuple[Tensor, Rows]:
        """[B, inputs, T] to [B, outputs, T or 2T], and the rows at the new rate."""
        out = rows.times(2) if self.doubles else rows
        y = rows.cut(F.leaky_relu(self.norm1(x, style, rows), SLOPE))
        if self.pool is not None:
            y = self.pool(y)
            x = x.repeat_interleave(2, dim=2)
        y = self.conv1(out.cut(y))
        y = self.conv2(out.cut(F.leaky_relu(self.norm2(y, style, out), SLOPE)))
        if self.shortcut is not None:
            x = self.shortcut(x).float()
        return (x + y) * math.sqrt(0.5), out
