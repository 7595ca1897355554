import pytest
import torch
from torch import Tensor

from kernels.causal_conv import depthwise_causal_conv, depthwise_causal_conv_ref
from tests.kernels.workers import Compiler, Interpreter

# (B, T, C, K): odd sizes, several blocks each way, fewer frames than taps, one tap, no frame.
SIZES = [(1, 1, 1, 2), (2, 17, 65, 7), (3, 40, 130, 5), (2, 2, 5, 7), (3, 5, 64, 1), (2, 0, 9, 4)]


def inputs(rows: int, frames: int, channels: int, taps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(frames * 100 + channels)
    shapes = (rows, frames, channels), (channels, taps), (channels,), (rows, taps - 1, channels)
    x, weight, bias, state = (torch.randn(shape, generator=random) for shape in shapes)
    return x, weight, bias, state


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int32)


@pytest.mark.parametrize("size", SIZES)
def test_reference_is_a_grouped_convolution(size: tuple[int, int, int, int]) -> None:
    x, weight, bias, state = inputs(*size)
    y, new_state = depthwise_causal_conv_ref(x, weight, bias, state)
    history = torch.cat((state, x), dim=1)
    if size[1]:
        judge = torch.nn.functional.conv1d(
            history.double().transpose(1, 2), weight.double()[:, None], bias.double(), groups=size[2]
        ).transpose(1, 2)
        torch.testing.assert_close(y.double(), judge, atol=1e-5, rtol=1e-5)
    assert y.shape == x.shape
    assert torch.equal(new_state, history[:, size[1] :])


def test_chunks_give_the_bits_of_the_whole() -> None:
    x, weight, bias, state = inputs(2, 53, 67, 7)
    whole, end = depthwise_causal_conv_ref(x, weight, bias, state)
    pieces = []
    for chunk in torch.split(x, [1, 2, 30, 3, 17], dim=1):
        piece, state = depthwise_causal_conv_ref(chunk, weight, bias, state)
        pieces.append(piece)
    assert torch.equal(bits(torch.cat(pieces, dim=1)), bits(whole))
    assert torch.equal(bits(state), bits(end))


def test_rows_end_at_their_own_length() -> None:
    x, weight, bias, state = inputs(4, 11, 6, 5)
    state[0, 0, 0], state[0, 1, 1] = -0.0, torch.nan
    lengths = torch.tensor([0, 2, 7, 11])
    y, new_state = depthwise_causal_conv_ref(x, weight, bias, state, lengths)
    assert torch.equal(bits(new_state[0]), bits(state[0]))
    for row, length in enumerate(lengths.tolist()):
        alone = slice(row, row + 1)
        y_alone, state_alone = depthwise_causal_conv_ref(x[alone, :length], weight, bias, state[alone])
        assert torch.equal(bits(y[alone, :length]), bits(y_alone))
        assert torch.equal(bits(new_state[alone]), bits(state_alone))


def test_gradients_pass_through_outputs_and_state() -> None:
    arguments = tuple(t.double().requires_grad_() for t in inputs(2, 4, 3, 3))
    assert torch.autograd.gradcheck(depthwise_causal_conv, arguments)
    assert torch.autograd.gradcheck(depthwise_causal_conv, (*arguments, torch.tensor([1, 4])))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("with_lengths", [False, True])
def test_interpreted_kernel(size: tuple[int, int, int, int], with_lengths: bool, interpreter: Interpreter) -> None:
    arguments = inputs(*size)
    lengths = torch.arange(size[0]) * size[1] // max(1, size[0] - 1) if with_lengths else None
    y, new_state = interpreter.launch("causal_conv", *arguments, lengths)
    expected, expected_state = depthwise_causal_conv_ref(*arguments, lengths)
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(bits(new_state), bits(expected_state))


def test_interpreted_kernel_in_half_precision(interpreter: Interpreter) -> None:
    arguments = tuple(t.half() for t in inputs(2, 9, 20, 7))
    y, new_state = interpreter.launch("causal_conv", *arguments)
    expected, expected_state = depthwise_causal_conv_ref(*(t.float() for t in arguments))
    torch.testing.assert_close(y.float(), expected, atol=1e-2, rtol=1e-2)
    assert torch.equal(new_state.float(), expected_state)


@pytest.mark.parametrize(("capability", "dtype"), [(80, "fp16"), (90, "fp32"), (100, "fp16")])
def test_kernel_compiles(capability: int, dtype: str, compiler: Compiler) -> None:
    pointers = ("x_ptr", "weight_ptr", "bias_ptr", "state_ptr", "y_ptr", "new_state_ptr")
    signature = dict.fromkeys(pointers, f"*{dtype}") | {"lengths_ptr": "*i64", "frames": "i32", "channels": "i32"}
    constants = {"KERNEL_FRAMES": 7, "HAS_LENGTHS": True, "BLOCK_T": 16, "BLOCK_C": 64}
    code = compiler.compile("causal_conv", "causal_conv_kernel", signature, constants, capability)
    assert code["ptx"] > 0
    assert code["cubin"] > 0


@pytest.mark.gpu
@pytest.mark.parametrize("size", SIZES)
def test_kernel_on_a_card(size: tuple[int, int, int, int], cuda: torch.device) -> None:
    arguments = inputs(*size)
    lengths = torch.arange(size[0]) * size[1] // max(1, size[0] - 1)
    x, weight, bias, state = (t.to(cuda) for t in arguments)
    y, new_state = depthwise_causal_conv(x, weight, bias, state, lengths.to(cuda))
    expected, expected_state = depthwise_causal_conv_ref(*arguments, lengths)
    torch.testing.assert_close(y.cpu(), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(bits(new_state.cpu()), bits(expected_state))
