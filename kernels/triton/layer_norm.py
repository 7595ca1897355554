"""Triton kernel of `kernels.layer_norm`: one read and one write of each row."""

import torch
import triton
import triton.language as tl
from torch import Tensor

# A row is held in registers by one program; beyond this many channels it would spill.
MAX_CHANNELS = 16384


@triton.jit
def layer_norm_kernel(x_ptr, weight_ptr, bias_ptr, y_ptr, channels, eps, BLOCK_C: tl.constexpr):
    """One program: one row of ``channels`` contiguous values."""
    row = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, BLOCK_C)
    inside = c < channels
    x = tl.load(x_ptr + row * channels + c, mask=inside, other=0.0).to(tl.float32)
    # Two passes over registers: E[x^2] - E[x]^2 loses all digits when the mean is large.
    centred = tl.where(inside, x - tl.sum(x, axis=0) / channels, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centred * centred, axis=0) / channels + eps)
    weight = tl.load(weight_ptr + c, mask=inside, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + c, mask=inside, other=0.0).to(tl.float32)
    tl.store(y_ptr + row * channels + c, centred * scale * weight + bias, mask=inside)


def launch(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Same arguments and result as `kernels.layer_norm.layer_norm`.

    Raises:
        ValueError: more than `MAX_CHANNELS` channels.
    """
    channels = x.shape[-1]
    if channels > MAX_CHANNELS:
        raise ValueError(f"layer_norm: {channels} channels, at most {MAX_CHANNELS}")
    x = x.contiguous()
    y = torch.empty_like(x)
    rows = x.numel() // channels
    if rows:
        block = triton.next_power_of_2(channels)
        warps = min(8, max(1, block // 256))
        layer_norm_kernel[(rows,)](x, weight, bias, y, channels, eps, BLOCK_C=block, num_warps=warps, enable_fp_fusion=True)
    return y
