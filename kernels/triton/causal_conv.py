"""Triton kernel of `kernels.causal_conv`: convolution and new state in one launch."""

import torch
import triton
import triton.language as tl
from torch import Tensor

FRAMES_PER_PROGRAM = 16
CHANNELS_PER_PROGRAM = 64


@triton.jit
def causal_conv_kernel(
    x_ptr, weight_ptr, bias_ptr, state_ptr, lengths_ptr, y_ptr, new_state_ptr,
    frames, channels,
    KERNEL_FRAMES: tl.constexpr, HAS_LENGTHS: tl.constexpr,
    BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """One program: BLOCK_T frames of BLOCK_C channels of one row; all tensors contiguous.

    Channels lie next to each other, so every load is coalesced. The taps of
    neighbouring frames overlap; those re-reads come from the L1 cache.
    """
    history: tl.constexpr = KERNEL_FRAMES - 1
    row = tl.program_id(0).to(tl.int64)
    t = tl.program_id(1) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    c = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)[None, :]
    x_row = x_ptr + row * frames * channels
    state_row = state_ptr + row * history * channels
    in_channels = c < channels

    sum_ = tl.zeros((BLOCK_T, BLOCK_C), tl.float32) + tl.load(bias_ptr + c, mask=in_channels, other=0.0).to(tl.float32)
    for tap in tl.static_range(KERNEL_FRAMES):
        at = t + tap - history
        past = tl.load(state_row + (at + history) * channels + c, mask=(at < 0) & (t < frames) & in_channels, other=0.0)
        present = tl.load(x_row + at * channels + c, mask=(at >= 0) & (t < frames) & in_channels, other=0.0)
        value = tl.where(at < 0, past.to(tl.float32), present.to(tl.float32))
        sum_ += value * tl.load(weight_ptr + c * KERNEL_FRAMES + tap, mask=in_channels, other=0.0).to(tl.float32)
    tl.store(y_ptr + row * frames * channels + t * channels + c, sum_, mask=(t < frames) & in_channels)

    # The state is the K-1 inputs before the row's end. The row's first programs move it.
    if tl.program_id(1) == 0:
        end = frames
        if HAS_LENGTHS:
            end = tl.minimum(tl.load(lengths_ptr + row).to(tl.int32), frames)
        channel = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
        for slot in tl.static_range(history):
            at_one = end + slot - history
            if at_one < 0:
                kept = tl.load(state_row + (at_one + history) * channels + channel, mask=channel < channels)
            else:
                kept = tl.load(x_row + at_one * channels + channel, mask=channel < channels)
            tl.store(new_state_ptr + (row * history + slot) * channels + channel, kept, mask=channel < channels)


def launch(x: Tensor, weight: Tensor, bias: Tensor, state: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Same arguments and results as `kernels.causal_conv.depthwise_causal_conv`; sums are float32."""
    rows, frames, channels = x.shape
    x, state = x.contiguous(), state.to(x.dtype).contiguous()
    y, new_state = torch.empty_like(x), torch.empty_like(state)
    # A step without frames still hands the state on: one program per row and channel block.
    grid = (rows, max(1, triton.cdiv(frames, FRAMES_PER_PROGRAM)), triton.cdiv(channels, CHANNELS_PER_PROGRAM))
    causal_conv_kernel[grid](
        x, weight.contiguous(), bias, state, x if lengths is None else lengths, y, new_state,
        frames, channels,
        KERNEL_FRAMES=weight.shape[1], HAS_LENGTHS=lengths is not None,
        BLOCK_T=FRAMES_PER_PROGRAM, BLOCK_C=CHANNELS_PER_PROGRAM,
        enable_fp_fusion=True,
    )  # fmt: skip
    return y, new_state
