"""Depthwise causal convolution with explicit state."""

import torch
from torch import Tensor

from kernels.choice import use_triton


def depthwise_causal_conv_ref(
    x: Tensor, weight: Tensor, bias: Tensor, state: Tensor, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Convolve each channel over time with its own filter; see `depthwise_causal_conv`.

    A sum of shifted products: each output is computed alike wherever it lies, so
    chunks and batches give the samples of the whole.
    """
    frames, taps = x.shape[1], weight.shape[1]
    history = torch.cat((state, x), dim=1)
    # One contiguous row of weights per tap: 2 to 4 times faster than strided columns,
    # and faster than conv1d with groups on one CPU thread: 82 against 159 us at T 40, C 256,
    # K 7, and 10.7 against 16.8 ms with the backward pass at B 16, T 200.
    by_tap = weight.t().contiguous()
    y = torch.addcmul(bias, history[:, :frames], by_tap[0])
    for tap in range(1, taps):
        y.addcmul_(history[:, tap : tap + frames], by_tap[tap])
    if lengths is None:
        return y, history[:, frames:].contiguous()
    at = lengths.to(torch.int64)[:, None] + torch.arange(taps - 1, device=x.device)
    return y, history.gather(1, at[:, :, None].expand(-1, -1, x.shape[2]))


def depthwise_causal_conv(
    x: Tensor, weight: Tensor, bias: Tensor, state: Tensor, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Convolve each channel over time with its own filter, looking back only.

    ``y[b, t, c] = bias[c] + sum_k weight[c, k] * x[b, t - (K - 1) + k, c]``, where
    negative times read ``state``. As `torch.nn.Conv1d` this is a cross-correlation:
    the last tap multiplies the present frame.

    Args:
        x: [B, T, C].
        weight: [C, K] with K >= 1.
        bias: [C].
        state: [B, K-1, C], the inputs before ``x``, oldest first; zeros at the start.
        lengths: [B] integers in 0..T, how many frames of each row are real. None means all.

    Returns:
        ``y`` [B, T, C] (past a row's length its values have no meaning) and the new
        state [B, K-1, C], taken at each row's own end. Length 0 gives the old state
        bit for bit. Neither ``x`` nor ``state`` is changed.
    """
    if use_triton("causal_conv", x, weight, bias, state):
        from kernels.triton import causal_conv

        return causal_conv.launch(x, weight, bias, state, lengths)
    return depthwise_causal_conv_ref(x, weight, bias, state, lengths)
