import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from kernels.overlap_add import overlap_add, overlap_add_ref
from tests.kernels.workers import Compiler, Interpreter

# (B, T, N, hop): whole and broken overlaps, no overlap, several blocks, one sample, no frame.
SIZES = [(1, 1, 1, 1), (2, 5, 12, 4), (3, 7, 13, 5), (2, 4, 6, 6), (2, 9, 480, 120), (2, 2, 33, 4), (1, 6, 5, 1), (2, 0, 9, 3)]


def inputs(rows: int, count: int, frame_samples: int, hop_samples: int) -> tuple[Tensor, int, Tensor]:
    random = torch.Generator().manual_seed(count * 1000 + frame_samples)
    frames = torch.randn(rows, count, frame_samples, generator=random)
    return frames, hop_samples, torch.randn(rows, frame_samples - hop_samples, generator=random)


def row_lengths(rows: int, count: int) -> Tensor:
    return torch.arange(rows) * count // max(1, rows - 1)


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int32)


@pytest.mark.parametrize("size", SIZES)
def test_reference_is_a_sum_of_shifted_frames(size: tuple[int, int, int, int]) -> None:
    frames, hop, tail = inputs(*size)
    samples, new_tail = overlap_add_ref(frames, hop, tail)
    for row in range(size[0]):
        judge = np.zeros(size[1] * hop + tail.shape[1])
        judge[: tail.shape[1]] += tail[row].numpy()
        for number, frame in enumerate(frames[row].numpy()):
            judge[number * hop : number * hop + size[2]] += frame
        np.testing.assert_allclose(torch.cat((samples[row], new_tail[row])).numpy(), judge, atol=1e-5)


def test_undoes_a_spectrogram() -> None:
    window = scipy.signal.get_window("hann", 480)
    transform = scipy.signal.ShortTimeFFT(window, hop=120, fs=24_000, phase_shift=None)
    signal = np.random.default_rng(0).standard_normal(24_000)
    spectrum = transform.stft(signal)
    pieces = torch.from_numpy(np.fft.irfft(spectrum.T, 480) * transform.dual_win)[None]
    samples, _ = overlap_add_ref(pieces, 120, torch.zeros(1, 360, dtype=torch.float64))
    start = -(transform.p_min * 120 - 240)
    np.testing.assert_allclose(samples[0, start : start + 20_000].numpy(), signal[:20_000], atol=1e-9)


def test_chunks_give_the_bits_of_the_whole() -> None:
    frames, hop, tail = inputs(2, 31, 47, 10)
    whole, end = overlap_add_ref(frames, hop, tail)
    pieces = []
    for chunk in torch.split(frames, [1, 3, 20, 2, 5], dim=1):
        piece, tail = overlap_add_ref(chunk, hop, tail)
        pieces.append(piece)
    assert torch.equal(bits(torch.cat(pieces, dim=1)), bits(whole))
    assert torch.equal(bits(tail), bits(end))


def test_rows_end_at_their_own_length() -> None:
    frames, hop, tail = inputs(4, 9, 22, 5)
    tail[0, 0], tail[0, 1] = -0.0, torch.nan
    frames[1, 3:] = torch.nan  # what lies past the end must not leak
    lengths = torch.tensor([0, 3, 6, 9])
    samples, new_tail = overlap_add_ref(frames, hop, tail, lengths)
    assert torch.equal(bits(new_tail[0]), bits(tail[0]))
    for row, length in enumerate(lengths.tolist()):
        alone = slice(row, row + 1)
        alone_samples, alone_tail = overlap_add_ref(frames[alone, :length], hop, tail[alone])
        assert torch.equal(bits(samples[alone, : length * hop]), bits(alone_samples))
        assert torch.equal(bits(new_tail[alone]), bits(alone_tail))
        assert not samples[row, length * hop :].any()


def test_a_tail_of_another_frame_size_is_refused(interpreter: Interpreter) -> None:
    frames, hop, tail = inputs(2, 3, 12, 4)
    with pytest.raises(ValueError, match=r"tail is \(2, 7\), expected \(2, 8\)"):
        overlap_add(frames, hop, tail[:, 1:])
    with pytest.raises(ValueError, match=r"tail is \(2, 7\), expected \(2, 8\)"):
        interpreter.launch("overlap_add", frames, hop, tail[:, 1:])


def test_gradients_pass() -> None:
    frames, hop, tail = inputs(2, 3, 7, 3)
    arguments = frames.double().requires_grad_(), tail.double().requires_grad_()
    lengths = torch.tensor([1, 3])
    assert torch.autograd.gradcheck(lambda f, t: overlap_add(f, hop, t), arguments)
    assert torch.autograd.gradcheck(lambda f, t: overlap_add(f, hop, t, lengths), arguments)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("with_lengths", [False, True])
def test_interpreted_kernel_gives_the_bits_of_the_reference(
    size: tuple[int, int, int, int], with_lengths: bool, interpreter: Interpreter
) -> None:
    arguments = inputs(*size)
    lengths = row_lengths(size[0], size[1]) if with_lengths else None
    results = interpreter.launch("overlap_add", *arguments, lengths)
    for result, expected in zip(results, overlap_add_ref(*arguments, lengths), strict=True):
        assert result.shape == expected.shape
        assert torch.equal(bits(result), bits(expected))


def test_interpreted_kernel_adds_half_precision_frames_in_single(interpreter: Interpreter) -> None:
    frames, hop, tail = inputs(2, 5, 12, 4)
    samples, _ = interpreter.launch("overlap_add", frames.half(), hop, tail)
    assert torch.equal(samples, overlap_add_ref(frames.half(), hop, tail)[0])


@pytest.mark.parametrize(("capability", "dtype"), [(80, "fp16"), (90, "fp32"), (100, "fp16")])
def test_kernel_compiles(capability: int, dtype: str, compiler: Compiler) -> None:
    signature = dict.fromkeys(("tail_ptr", "samples_ptr", "new_tail_ptr"), "*fp32")
    signature |= {"frames_ptr": f"*{dtype}", "lengths_ptr": "*i64"}
    signature |= dict.fromkeys(("frames", "frame_samples", "hop_samples", "overlap_samples"), "i32")
    constants = {"OVERLAPPING": 4, "HAS_LENGTHS": True, "BLOCK_S": 256}
    code = compiler.compile("overlap_add", "overlap_add_kernel", signature, constants, capability)
    assert code["ptx"] > 0
    assert code["cubin"] > 0


@pytest.mark.gpu
@pytest.mark.parametrize("size", SIZES)
def test_kernel_on_a_card(size: tuple[int, int, int, int], cuda: torch.device) -> None:
    frames, hop, tail = inputs(*size)
    lengths = row_lengths(size[0], size[1])
    results = overlap_add(frames.to(cuda), hop, tail.to(cuda), lengths.to(cuda))
    for result, expected in zip(results, overlap_add_ref(frames, hop, tail, lengths), strict=True):
        assert torch.equal(bits(result.cpu()), bits(expected))
