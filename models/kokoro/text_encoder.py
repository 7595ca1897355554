"""What phones sound like, apart from how they are said: convolutions and a recurrence."""

from torch import Tensor, nn
from torch.nn import functional as F

from models.kokoro.blocks import SLOPE
from models.kokoro.config import KokoroConfig
from models.kokoro.rows import BothWays, Rows


class TextEncoder(nn.Module):
    def __init__(self, config: KokoroConfig) -> None:
        super().__init__()
        size, kernel = config.hidden_dim, config.text_encoder_kernel_size
        self.embedding = nn.Embedding(config.n_token, size)
        self.convs = nn.ModuleList(nn.Conv1d(size, size, kernel, padding=kernel // 2) for _ in range(config.n_layer))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(config.n_layer))
        self.recurrence = BothWays(size, size)

    def forward(self, tokens: Tensor, rows: Rows) -> Tensor:
        """Tokens [B, P] to [B, P, hidden]."""
        x = rows.cut(self.embedding(tokens).transpose(1, 2))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = rows.cut(F.leaky_relu(norm(conv(x).transpose(1, 2)), SLOPE).transpose(1, 2))
        return self.recurrence.over(x.transpose(1, 2), rows)
