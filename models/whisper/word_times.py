"""When each word was said: the decoder's attention over the audio, joined to a path by dynamic programming.

The method of Whisper's reference implementation: attention of a few heads that follow time, normalised
over tokens, median-filtered over time, averaged; then dynamic time warping (Giorgino 2009).
"""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.whisper.network import Decoder, source_mask

Floats = NDArray[np.float32]
MEDIAN_WIDTH = 5
"""Positions of 40 ms in the embedded model."""


@torch.inference_mode()
def attention_weights(
    decoder: Decoder, tokens: Tensor, states: Tensor, positions: Tensor, heads: Sequence[tuple[int, int]]
) -> Tensor:
    """Cross-attention of chosen (layer, head) pairs, [B, heads, N, T], teacher-forced on tokens [B, N]."""
    return read_text(decoder, tokens, states, positions, heads)[0]


@torch.inference_mode()
def read_text(
    decoder: Decoder, tokens: Tensor, states: Tensor, positions: Tensor, heads: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """`attention_weights`, and the logits [B, N, V] of what follows each token."""
    mask = source_mask(positions, states.shape[1])
    x: Tensor = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[: tokens.shape[1]]
    wanted: dict[tuple[int, int], Tensor] = {}
    for index, layer in enumerate(decoder.each_layer()):
        normal = layer.self_attn_layer_norm(x)
        x = x + layer.self_attn(normal, *layer.self_attn.keys_values(normal), causal=True)
        source = layer.encoder_attn.keys_values(states)
        chosen = [head for number, head in heads if number == index]
        if chosen:
            weights = layer.encoder_attn.weights(layer.encoder_attn_layer_norm(x), source[0], chosen, mask)
            wanted.update({(index, head): weights[:, place] for place, head in enumerate(chosen)})
        x = layer.after_self_attention(x, source, mask)
    return torch.stack([wanted[pair] for pair in heads], dim=1), decoder.logits(x)


def token_starts(weights: Floats) -> NDArray[np.int64]:
    """The position at which each token begins, [N], from attention weights [heads, N, T]; they never go back."""
    spread = weights.std(axis=1, keepdims=True) + 1e-9
    normal = (weights - weights.mean(axis=1, keepdims=True)) / spread
    cost = -_median_filter(normal).mean(axis=0)
    path = warp(cost)
    starts = np.full(cost.shape[0], -1, np.int64)
    for token, position in reversed(path):
        starts[token] = position
    return starts


def _median_filter(x: Floats) -> Floats:
    """Over the last axis, edges reflected."""
    half = MEDIAN_WIDTH // 2
    if x.shape[-1] <= half:
        return x
    padded = np.pad(x, ((0, 0),) * (x.ndim - 1) + ((half, half),), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_WIDTH, axis=-1)
    filtered: Floats = np.partition(windows, half, axis=-1)[..., half]  # a quarter of the time of np.median
    return filtered


def warp(cost: Floats) -> list[tuple[int, int]]:
    """The cheapest monotone path through [N, T] from corner to corner, as (token, position) pairs.

    A whole row at once: the cheapest way to a place along its row is the cheapest place to enter the row before it, which is a
    running minimum. A row has some hundred places, a text some ten rows.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf, np.float64)
    total[0, 0] = 0.0
    for i in range(1, rows + 1):
        along = np.cumsum(cost[i - 1], dtype=np.float64)
        enter = np.minimum(total[i - 1, :-1], total[i - 1, 1:])
        total[i, 1:] = np.minimum.accumulate(enter - along + cost[i - 1]) + along
    path = []
    i, j = rows, columns
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        ways = (total[i - 1, j - 1], i - 1, j - 1), (total[i - 1, j], i - 1, j), (total[i, j - 1], i, j - 1)
        _, i, j = min(ways, key=itemgetter(0))
    return path[::-1]
