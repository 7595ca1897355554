"""The decoder of a trained network, a few tokens at a time.

Steps of a few rows are short of nothing but operations: calling the embedded network's products takes a CPU longer than
doing them. So a layer's projections of one input are one matrix, all rows write the same column of the cache (shorter starts
are padded on the left), and texts that compete for one window share its keys and values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.whisper.network import Attention, Decoder, DecoderLayer

COLUMNS_AT_ONCE = 16
"""The cache grows by so many; a step that keeps other texts than the last one copies all of it."""

Affine = tuple[Tensor, Tensor | None]


@dataclass(slots=True)
class DecoderState:
    """What the decoder remembers of W windows with R texts each; the W * R rows of a window's texts lie side by side."""

    past: Tensor
    """Keys and values of the tokens, [layers, 2, W * R, H, room, D]."""
    columns: int
    """How many of the room are written."""
    pads: Tensor | None
    """How many of a row's first columns stand for nothing, [W * R]; None: none of any row."""
    sources: list[tuple[Tensor, Tensor]]
    """Keys and values of the audio by layer, [W, H, T, D]."""
    watched_keys: Tensor | None
    """Those keys that the watched heads look at, scaled, [W, watched, D, T]; None where none are watched."""
    source_mask: Tensor | None
    """True where a window may be looked at, [W, 1, 1, T]; None: everywhere."""
    looked_at: list[int] | None = None
    """The position that the watched heads looked at most for the newest token of each row; None where none are watched."""

    def select(self, rows: Sequence[int], windows: Sequence[int] | None) -> None:
        """Keep these rows, also repeated ones, as many of each window; of these windows, None: all, in their places."""
        index = torch.tensor(rows, device=self.past.device)
        self.past = self.past.index_select(2, index)
        self.pads = None if self.pads is None else self.pads[index]
        if windows is not None:
            index = torch.tensor(windows, device=self.past.device)
            self.sources = [(keys[index], values[index]) for keys, values in self.sources]
            self.watched_keys = None if self.watched_keys is None else self.watched_keys[index]
            self.source_mask = None if self.source_mask is None else self.source_mask[index]

    def next_columns(self, count: int) -> None:
        """Make room for as many more and count them as written."""
        missing = self.columns + count - self.past.shape[4]
        if missing > 0:
            self.past = F.pad(self.past, (0, 0, 0, -(-missing // COLUMNS_AT_ONCE) * COLUMNS_AT_ONCE))
        self.columns += count


def _affine(layer: nn.Linear | nn.LayerNorm) -> Affine:
    return layer.weight, layer.bias


def _joined(*layers: nn.Linear) -> Affine:
    """Layers that meet the same input as one; their own parameters become views of it."""
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([torch.zeros_like(layer.weight[:, 0]) if layer.bias is None else layer.bias for layer in layers])
    for layer, part in zip(layers, torch.split(weight, [layer.out_features for layer in layers]), strict=True):
        layer.weight.data = part
    return weight, bias


class _Layer:
    """The parameters of one layer, at hand: looking them up through modules costs as much as the small products."""

    def __init__(self, layer: DecoderLayer, watched: Sequence[int]) -> None:
        own, source = layer.self_attn, layer.encoder_attn
        self.head_count = own.head_count
        self.projections = [
            _affine(layer.self_attn_layer_norm),
            _joined(own.q_proj, own.k_proj, own.v_proj),
            _affine(own.out_proj),
        ]
        self.source_projections = [_affine(layer.encoder_attn_layer_norm), _affine(source.q_proj), _affine(source.out_proj)]
        self.feed_forward = [_affine(layer.final_layer_norm), _affine(layer.fc1), _affine(layer.fc2)]
        self.source_attention: Attention = source
        self.watched = torch.tensor(watched, device=own.q_proj.weight.device) if watched else None


class IncrementalDecoder:
    """Steps of a `Decoder` whose weights are final; they stay where they are. ``watched`` are (layer, head) pairs."""

    def __init__(self, decoder: Decoder, watched: Sequence[tuple[int, int]] = ()) -> None:
        self.network = decoder
        self._layers = [
            _Layer(layer, [head for number, head in watched if number == index])
            for index, layer in enumerate(decoder.each_layer())
        ]
        self._norm = _affine(decoder.layer_norm)

    def init_state(self, states: Tensor, mask: Tensor | None, pads: Tensor | None = None) -> DecoderState:
        """One text for each window: encoder states [W, T, C], their mask [W, 1, 1, T], and ``pads`` [W]: how many of the
        first tokens of each row will stand for nothing."""
        sources = [layer.source_attention.keys_values(states) for layer in self._layers]
        windows, heads, _, size = sources[0][0].shape
        past = states.new_zeros(len(self._layers), 2, windows, heads, 0, size)
        watched = [
            keys.index_select(1, layer.watched).transpose(2, 3) / size**0.5
            for layer, (keys, _) in zip(self._layers, sources, strict=True)
            if layer.watched is not None
        ]
        return DecoderState(past, 0, pads, sources, torch.cat(watched, dim=1) if watched else None, mask)

    def step(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """Tokens [W * R, N] that follow what the state holds to what `logits` takes, [W * R, N, C]; the state is written."""
        first, count = state.columns, tokens.shape[1]
        state.next_columns(count)
        columns = torch.arange(first, state.columns, device=tokens.device)
        positions = columns if state.pads is None else (columns - state.pads[:, None]).clamp_min(0)
        x: Tensor = self.network.embed_tokens(tokens) + self.network.embed_positions(positions)
        mask = _past_mask(state, columns)
        watching = []
        for layer, past, source in zip(self._layers, state.past, state.sources, strict=True):
            x = x + _self_attention(layer, x, past[..., first : state.columns, :], past[..., : state.columns, :], mask)
            update, queries = _source_attention(layer, x, source, state.source_mask)
            if layer.watched is not None:
                watching.append(queries[:, :, count - 1 :: count].index_select(1, layer.watched))
            x = x + update
            norm, widen, narrow = layer.feed_forward
            x = x + F.linear(F.gelu(F.linear(F.layer_norm(x, x.shape[-1:], *norm), *widen)), *narrow)
        if watching:
            state.looked_at = _looked_at(torch.cat(watching, dim=1), state)
        return F.layer_norm(x, x.shape[-1:], *self._norm)

    def logits(self, x: Tensor, tokens: int | None = None) -> Tensor:
        """[..., C] to [..., V], or to the first so many ``tokens``; the output layer is the embedding."""
        return F.linear(x, self.network.embed_tokens.weight[:tokens])


def _past_mask(state: DecoderState, columns: Tensor) -> Tensor | None:
    """True where a token may look, [rows or 1, 1, N, columns]; a column that stands for nothing looks at itself."""
    if len(columns) == 1 and state.pads is None:
        return None
    keys, queries = torch.arange(state.columns, device=columns.device), columns[:, None]
    mask = (keys <= queries)[None]
    if state.pads is not None:
        mask = mask & ((keys >= state.pads[:, None, None]) | (keys == queries))
    return mask[:, None]


def _self_attention(layer: _Layer, x: Tensor, newest: Tensor, past: Tensor, mask: Tensor | None) -> Tensor:
    """The update of x [B, N, C]; ``newest`` [2, B, H, N, D] is where its keys and values go, ``past`` what it looks at."""
    norm, joined, out = layer.projections
    three = F.linear(F.layer_norm(x, x.shape[-1:], *norm), *joined).view(*x.shape[:2], 3, layer.head_count, -1)
    three = three.permute(2, 0, 3, 1, 4)
    newest.copy_(three[1:])
    heard = F.scaled_dot_product_attention(three[0], past[0], past[1], mask)
    return F.linear(heard.transpose(1, 2).reshape(x.shape), *out)


def _source_attention(layer: _Layer, x: Tensor, source: tuple[Tensor, Tensor], mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The update of x [W * R, N, C] and the queries [W, H, R * N, D]."""
    norm, query, out = layer.source_projections
    flat = F.linear(F.layer_norm(x, x.shape[-1:], *norm), *query)
    queries = flat.view(len(source[0]), -1, layer.head_count, source[0].shape[-1]).transpose(1, 2)
    heard = F.scaled_dot_product_attention(queries, *source, mask)
    return F.linear(heard.transpose(1, 2).reshape(x.shape), *out), queries


def _looked_at(queries: Tensor, state: DecoderState) -> list[int]:
    """The position that the watched heads look at most, of each row, from their queries [W, watched, R, D]."""
    assert state.watched_keys is not None
    scores = queries @ state.watched_keys
    weights = (scores if state.source_mask is None else scores.masked_fill(~state.source_mask, -torch.inf)).softmax(-1)
    positions: list[int] = weights.mean(dim=1).argmax(-1).flatten().tolist()
    return positions
