"""How long each phone lasts, and how pitch and energy move: the predictor of StyleTTS 2 (Li et al. 2023) as Kokoro has it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.kokoro.blocks import StyledBlock
from models.kokoro.config import KokoroConfig
from models.kokoro.rows import NORM_EPS, BothWays, Rows


class StyledLayerNorm(nn.Module):
    """Layer norm over channels whose scale and shift come from a style."""

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.fc = nn.Linear(style_dim, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Normalise [B, P, C]; ``style`` is [B, style]."""
        scale, shift = self.fc(style)[:, None].chunk(2, dim=2)
        return torch.addcmul(shift, F.layer_norm(x, (self.channels,), eps=NORM_EPS), 1 + scale)


class DurationEncoder(nn.Module):
    """Recurrences with styled norms between them; the style is seen anew by each."""

    def __init__(self, config: KokoroConfig) -> None:
        super().__init__()
        size, style = config.hidden_dim, config.style_dim
        self.recurrences = nn.ModuleList(BothWays(size + style, size) for _ in range(config.n_layer))
        self.norms = nn.ModuleList(StyledLayerNorm(style, size) for _ in range(config.n_layer))

    def forward(self, x: Tensor, style: Tensor, rows: Rows) -> Tensor:
        """[B, P, hidden] to [B, P, hidden + style]."""
        everywhere = style[:, None].expand(-1, x.shape[1], -1)
        x = torch.cat([x, everywhere], dim=2)
        for recurrence, norm in zip(self.recurrences, self.norms, strict=True):
            assert isinstance(recurrence, BothWays)
            x = torch.cat([norm(recurrence.over(x, rows), style), everywhere], dim=2)
        return x


class Curve(nn.Module):
    """One curve, of pitch or of energy, at `models.kokoro.config.CURVE_STEPS` values per frame."""

    def __init__(self, config: KokoroConfig) -> None:
        super().__init__()
        size, half, style = config.hidden_dim, config.hidden_dim // 2, config.style_dim
        self.blocks = nn.ModuleList(
            [StyledBlock(size, size, style), StyledBlock(size, half, style, doubles=True), StyledBlock(half, half, style)]
        )
        self.out = nn.Conv1d(half, 1, 1)

    def forward(self, x: Tensor, style: Tensor, rows: Rows) -> Tensor:
        """[B, hidden, T] to [B, 2T]."""
        for block in self.blocks:
            x, rows = block(x, style, rows)
        curve: Tensor = self.out(x)[:, 0]
        return curve


class ProsodyPredictor(nn.Module):
    def __init__(self, config: KokoroConfig) -> None:
        super().__init__()
        size = config.hidden_dim
        self.encoder = DurationEncoder(config)
        self.timing = BothWays(size + config.style_dim, size)
        self.duration = nn.Linear(size, config.max_dur)
        self.shared = BothWays(size + config.style_dim, size)
        self.pitch = Curve(config)
        self.energy = Curve(config)

    def durations(self, x: Tensor, style: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """Read phones [B, P, hidden] with the prosody's style [B, style]: what `curves` wants of each phone
        [B, P, hidden + style], and how many frames each lasts at the voice's own speed [B, P], not rounded."""
        encoded = self.encoder(x, style, rows)
        units = self.duration(self.timing.over(encoded, rows))
        return encoded, torch.sigmoid(units).sum(2)

    def curves(self, frames: Tensor, style: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """Pitch in Hz and energy, each [B, 2T], for frames [B, T, hidden + style]."""
        x = self.shared.over(frames, rows).transpose(1, 2)
        return self.pitch(x, style, rows), self.energy(x, style, rows)
