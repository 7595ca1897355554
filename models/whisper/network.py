"""The Whisper network (Radford et al. 2022) in torch, with the parameter names of Hugging Face checkpoints.

Windows may have any length: a mask per row keeps a row's result independent of its neighbours. Tokens are chosen with
`models.whisper.incremental`.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.whisper.config import WhisperConfig


def sinusoids(length: int, channels: int) -> Tensor:
    """Fixed positions of the encoder, [length, channels]: sines, then cosines, periods 2 pi to 20 000 pi."""
    step = torch.log(torch.tensor(10_000.0)) / (channels // 2 - 1)
    scaled = torch.arange(length)[:, None] * torch.exp(-step * torch.arange(channels // 2))[None, :]
    return torch.cat([scaled.sin(), scaled.cos()], dim=1)


class Attention(nn.Module):
    """Multi-head attention; keys have no bias. Heads are split by `heads`, merged by `merge`."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.head_count = heads
        self.product: Callable[..., Tensor] = F.scaled_dot_product_attention
        """Of queries, keys, values; training puts its own here."""
        self.q_proj = nn.Linear(channels, channels)
        self.k_proj = nn.Linear(channels, channels, bias=False)
        self.v_proj = nn.Linear(channels, channels)
        self.out_proj = nn.Linear(channels, channels)

    def heads(self, x: Tensor) -> Tensor:
        """[B, T, C] to [B, H, T, D]."""
        return x.view(*x.shape[:-1], self.head_count, -1).transpose(1, 2)

    def merge(self, x: Tensor) -> Tensor:
        """[B, H, T, D] to [B, T, C], then the output projection."""
        merged: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))
        return merged

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both [B, H, T, D]."""
        return self.heads(self.k_proj(x)), self.heads(self.v_proj(x))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """``mask`` is True where a query may look, broadcast to [B, H, queries, keys]."""
        query = self.heads(self.q_proj(x))
        return self.merge(self.product(query, keys, values, mask, is_causal=causal))

    def weights(self, x: Tensor, keys: Tensor, chosen: Sequence[int], mask: Tensor | None) -> Tensor:
        """What some heads look at, [B, chosen heads, queries, keys]; each query's weights add up to 1."""
        query = self.heads(self.q_proj(x))[:, list(chosen)]
        scores: Tensor = query @ keys[:, list(chosen)].transpose(2, 3) / query.shape[-1] ** 0.5
        return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)


class EncoderLayer(nn.Module):
    def __init__(self, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(channels, heads)
        self.self_attn_layer_norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.final_layer_norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[B, T, C] to the same."""
        normal = self.self_attn_layer_norm(x)
        x = x + self.self_attn(normal, *self.self_attn.keys_values(normal), mask)
        update: Tensor = self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return x + update


class Encoder(nn.Module):
    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        channels = config.d_model
        self.conv1 = nn.Conv1d(config.num_mel_bins, channels, 3, padding=1)
        self.conv2 = nn.Conv1d(channels, channels, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, channels)
        self.embed_positions.weight.data = sinusoids(config.max_source_positions, channels)
        self.embed_positions.requires_grad_(False)
        self.layers = nn.ModuleList(
            EncoderLayer(channels, config.encoder_attention_heads, config.encoder_ffn_dim) for _ in range(config.encoder_layers)
        )
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, mel: Tensor, mel_frames: Tensor | None = None) -> Tensor:
        """Log-mel [B, T, M] to states [B, T / 2, C].

        ``mel_frames`` [B], even numbers, says how much of each row counts; what lies behind has no
        influence. None: everything counts.
        """
        if mel_frames is None:
            mask = None
            x = F.gelu(self.conv1(mel.transpose(1, 2)))
        else:
            # Both convolutions look one frame ahead; alone they would see their zero padding there.
            counts = (torch.arange(mel.shape[1], device=mel.device) < mel_frames[:, None])[:, None, :]
            mask = source_mask(mel_frames // 2, mel.shape[1] // 2)
            x = F.gelu(self.conv1(mel.transpose(1, 2) * counts)) * counts
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]]
        for layer in self.layers:
            x = layer(x, mask)
        states: Tensor = self.layer_norm(x)
        return states


def source_mask(positions: Tensor, longest: int) -> Tensor:
    """Attention mask [B, 1, 1, longest] of rows with the given numbers of encoder positions [B]."""
    return (torch.arange(longest, device=positions.device) < positions[:, None])[:, None, None, :]


class DecoderLayer(nn.Module):
    def __init__(self, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(channels, heads)
        self.self_attn_layer_norm = nn.LayerNorm(channels)
        self.encoder_attn = Attention(channels, heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.final_layer_norm = nn.LayerNorm(channels)

    def after_self_attention(self, x: Tensor, source: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), *source, mask)
        update: Tensor = self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return x + update


class Decoder(nn.Module):
    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        channels, heads = config.d_model, config.decoder_attention_heads
        self.embed_tokens = nn.Embedding(config.vocab_size, channels)
        self.embed_positions = nn.Embedding(config.max_target_positions, channels)
        self.layers = nn.ModuleList(DecoderLayer(channels, heads, config.decoder_ffn_dim) for _ in range(config.decoder_layers))
        self.layer_norm = nn.LayerNorm(channels)

    def each_layer(self) -> Iterator[DecoderLayer]:
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            yield layer

    def logits(self, x: Tensor) -> Tensor:
        """[B, N, C] to [B, N, V]; the output layer is the embedding."""
        return F.linear(self.layer_norm(x), self.embed_tokens.weight)

    def forward(self, tokens: Tensor, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """All positions at once: tokens [B, N], encoder states [B, T, C] to logits [B, N, V]."""
        x: Tensor = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.each_layer():
            normal = layer.self_attn_layer_norm(x)
            x = x + layer.self_attn(normal, *layer.self_attn.keys_values(normal), causal=True)
            x = layer.after_self_attention(x, layer.encoder_attn.keys_values(states), mask)
        return self.logits(x)


class Whisper(nn.Module):
    """Encoder and decoder under the names of ``WhisperForConditionalGeneration`` (prefix ``model.``)."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.model = nn.ModuleDict({"encoder": Encoder(config), "decoder": Decoder(config)})

    @property
    def encoder(self) -> Encoder:
        encoder = self.model["encoder"]
        assert isinstance(encoder, Encoder)
        return encoder

    @property
    def decoder(self) -> Decoder:
        decoder = self.model["decoder"]
        assert isinstance(decoder, Decoder)
        return decoder
