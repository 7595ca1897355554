"""From phones, pitch and energy per frame to what the vocoder reads."""

import torch
from torch import Tensor, nn

from models.kokoro.blocks import StyledBlock
from models.kokoro.config import KokoroConfig
from models.kokoro.convs import Conv, Pieces
from models.kokoro.rows import Rows

CURVES = 2


class Decoder(nn.Module):
    def __init__(self, config: KokoroConfig) -> None:
        super().__init__()
        size, wide, side, style = config.hidden_dim, config.decoder_channels, config.side_channels, config.style_dim
        self.encode = StyledBlock(size + CURVES, wide, style)
        last = [StyledBlock(wide + CURVES + side, config.istftnet.upsample_initial_channel, style, doubles=True)]
        self.decode = nn.ModuleList([StyledBlock(wide + CURVES + side, wide, style) for _ in range(3)] + last)
        self.pitch = nn.Conv1d(1, 1, 3, stride=2, padding=1)
        self.energy = nn.Conv1d(1, 1, 3, stride=2, padding=1)
        self.side = Conv(size, side, 1)

    def pieces(self, phones: Tensor, pitch_hz: Tensor, energy: Tensor, style: Tensor, rows: Rows) -> Pieces[Tensor]:
        """Phones [B, hidden, T], curves [B, 2T] and the decoder's style [B, style] to [B, channels, 2T]."""
        fine = rows.times(2)
        curves = [self.pitch(fine.cut(pitch_hz[:, None])), self.energy(fine.cut(energy[:, None]))]
        x: Tensor = self.encode(torch.cat([phones, *curves], dim=1), style, rows)[0]
        beside = [self.side(phones).float(), *curves]
        for block in self.decode:
            yield
            x, rows = block(torch.cat([x, *beside], dim=1), style, rows)
        return x
