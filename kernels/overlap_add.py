"""Streaming overlap-add: the last stage of a waveform head."""

import torch
from torch import Tensor

from kernels.choice import use_triton


def overlap_add_ref(frames: Tensor, hop_samples: int, tail: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Add overlapping frames; see `overlap_add`.

    Frames are cut into blocks of one hop, and block k of all frames is added at
    once. Going from the last block to the first adds the oldest frame first to
    every sample, which is the order of a chunked run too: chunks give the bits
    of the whole.
    """
    rows, count, frame_samples = frames.shape
    overlap_samples = frame_samples - hop_samples
    if tail.shape != (rows, overlap_samples):
        raise ValueError(f"tail is {tuple(tail.shape)}, expected {(rows, overlap_samples)}")
    blocks = -(-frame_samples // hop_samples)
    frames = frames.to(tail.dtype)
    if lengths is not None:
        unreal = torch.arange(count, device=frames.device) >= lengths[:, None]
        # -0.0 is the number that changes nothing when added, not even the sign of a zero.
        frames = frames.masked_fill(unreal[:, :, None], -0.0)
    pieces = torch.nn.functional.pad(frames, (0, blocks * hop_samples - frame_samples))
    pieces = pieces.view(rows, count, blocks, hop_samples)
    total_samples = (count + blocks - 1) * hop_samples
    buffer = torch.nn.functional.pad(tail, (0, total_samples - overlap_samples))
    by_hop = buffer.view(rows, count + blocks - 1, hop_samples)
    for block in reversed(range(blocks)):
        by_hop[:, block : block + count] += pieces[:, :, block]
    samples = buffer[:, : count * hop_samples]
    if lengths is None:
        end = count * hop_samples
        return samples, buffer[:, end : end + overlap_samples].contiguous()
    ends = lengths.to(torch.int64)[:, None] * hop_samples
    past_end = torch.arange(samples.shape[1], device=frames.device) >= ends
    at = ends + torch.arange(overlap_samples, device=frames.device)
    return samples.masked_fill(past_end, 0.0), buffer.gather(1, at)


def overlap_add(frames: Tensor, hop_samples: int, tail: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Add frames that start every ``hop_samples`` and overlap, keeping what is not finished.

    Args:
        frames: [B, T, N] with N >= ``hop_samples``, windowed already.
        hop_samples: distance between the starts of frames.
        tail: [B, N - hop], what earlier frames left behind; zeros at the start.
            Its dtype is that of the sum: keep it float32.
        lengths: [B] integers in 0..T, how many frames of each row are real. None means all.

    Returns:
        ``samples`` [B, T * hop], 0 past a row's own end, and the new tail [B, N - hop],
        taken at each row's own end. Length 0 gives the old tail bit for bit.

    Raises:
        ValueError: ``tail`` does not have the shape above.
    """
    if use_triton("overlap_add", frames, tail):
        from kernels.triton import overlap_add

        return overlap_add.launch(frames, hop_samples, tail, lengths)
    return overlap_add_ref(frames, hop_samples, tail, lengths)
