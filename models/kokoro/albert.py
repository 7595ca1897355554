"""The reader of phones: ALBERT (Lan et al. 2019), one layer gone through several times, as PL-BERT trained it on phones."""

from torch import Tensor, nn
from torch.nn import functional as F

from models.kokoro.config import AlbertConfig
from models.kokoro.rows import Rows

NORM_EPS = 1e-12


class Albert(nn.Module):
    def __init__(self, vocabulary: int, config: AlbertConfig) -> None:
        super().__init__()
        self.passes = config.num_hidden_layers
        self.token = nn.Embedding(vocabulary, config.embedding_size)
        self.position = nn.Embedding(config.max_position_embeddings, config.embedding_size)
        """With the embedding of the only segment that there is added in."""
        self.norm = nn.LayerNorm(config.embedding_size, eps=NORM_EPS)
        self.widen = nn.Linear(config.embedding_size, config.hidden_size)
        self.layer = _Layer(config)

    def forward(self, tokens: Tensor, rows: Rows) -> Tensor:
        """Read tokens [B, P]: [B, P, hidden]; nothing in a row depends on what lies past its end."""
        x: Tensor = self.norm(self.token(tokens) + self.position.weight[: tokens.shape[1]])
        x = self.widen(x)
        seen = None if rows.mask is None else (rows.mask > 0)[:, None, None, :]
        for _ in range(self.passes):
            x = self.layer(x, seen)
        return x


class _Layer(nn.Module):
    def __init__(self, config: AlbertConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(size, 3 * size)
        self.dense = nn.Linear(size, size)
        self.attention_norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.up = nn.Linear(size, config.intermediate_size)
        self.down = nn.Linear(config.intermediate_size, size)
        self.norm = nn.LayerNorm(size, eps=NORM_EPS)

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        rows, count, size = x.shape
        heads = self.qkv(x).view(rows, count, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=seen)
        x = self.attention_norm(x + self.dense(attended.transpose(1, 2).reshape(rows, count, size)))
        out: Tensor = self.norm(x + self.down(F.gelu(self.up(x), approximate="tanh")))
        return out
