"""Triton kernel of `kernels.overlap_add`: each sample gathers the frames that cover it."""

import torch
import triton
import triton.language as tl
from torch import Tensor

SAMPLES_PER_PROGRAM = 256


@triton.jit
def overlap_add_kernel(
    frames_ptr, tail_ptr, lengths_ptr, samples_ptr, new_tail_ptr,
    frames, frame_samples, hop_samples, overlap_samples,
    OVERLAPPING: tl.constexpr, HAS_LENGTHS: tl.constexpr, BLOCK_S: tl.constexpr,
):  # fmt: skip
    """One program: BLOCK_S samples of one row, counted from the row's old end.

    Samples before the row's new end are finished; the ``overlap_samples`` after it
    are the new tail. OVERLAPPING = ceil(frame / hop) frames cover a sample at most;
    the oldest is added first, as in the reference, so both give the same bits.
    """
    row = tl.program_id(0).to(tl.int64)
    s = tl.program_id(1) * BLOCK_S + tl.arange(0, BLOCK_S)
    real_frames = frames
    if HAS_LENGTHS:
        real_frames = tl.minimum(tl.load(lengths_ptr + row).to(tl.int32), frames)
    finished = real_frames * hop_samples
    newest = s // hop_samples

    sum_ = tl.load(tail_ptr + row * overlap_samples + s, mask=s < overlap_samples, other=0.0)
    for age in tl.static_range(OVERLAPPING):
        frame = newest - (OVERLAPPING - 1 - age)
        within = s - frame * hop_samples
        covers = (frame >= 0) & (frame < real_frames) & (within < frame_samples)
        value = tl.load(frames_ptr + (row * frames + frame) * frame_samples + within, mask=covers, other=0.0)
        sum_ = tl.where(covers, sum_ + value.to(sum_.dtype), sum_)

    in_chunk = s < frames * hop_samples
    tl.store(samples_ptr + row * frames * hop_samples + s, tl.where(s < finished, sum_, 0.0).to(sum_.dtype), mask=in_chunk)
    in_tail = (s >= finished) & (s < finished + overlap_samples)
    tl.store(new_tail_ptr + row * overlap_samples + s - finished, sum_, mask=in_tail)


def launch(frames: Tensor, hop_samples: int, tail: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Same arguments, results and errors as `kernels.overlap_add.overlap_add`."""
    rows, count, frame_samples = frames.shape
    overlap_samples = frame_samples - hop_samples
    if tail.shape != (rows, overlap_samples):
        raise ValueError(f"tail is {tuple(tail.shape)}, expected {(rows, overlap_samples)}")
    tail = tail.contiguous()
    samples = tail.new_empty(rows, count * hop_samples)
    new_tail = torch.empty_like(tail)
    blocks = triton.cdiv(count * hop_samples + overlap_samples, SAMPLES_PER_PROGRAM)
    if rows and blocks:
        overlap_add_kernel[(rows, blocks)](
            frames.contiguous(), tail, tail if lengths is None else lengths, samples, new_tail,
            count, frame_samples, hop_samples, overlap_samples,
            OVERLAPPING=triton.cdiv(frame_samples, hop_samples), HAS_LENGTHS=lengths is not None,
            BLOCK_S=SAMPLES_PER_PROGRAM, enable_fp_fusion=True,
        )  # fmt: skip
    return samples, new_tail
