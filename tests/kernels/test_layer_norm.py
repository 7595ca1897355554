import numpy as np
import pytest
import torch
from torch import Tensor

from kernels.layer_norm import layer_norm, layer_norm_ref
from tests.kernels.workers import Compiler, Interpreter

SHAPES = [(1, 1), (3, 5), (2, 7, 384), (4, 257), (0, 8), (2, 3, 1, 1030)]
EPS = 1e-5


def inputs(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(shape, generator=random) * 3.0 + 100.0  # a mean far from 0 shows lost digits
    return x, torch.randn(shape[-1], generator=random), torch.randn(shape[-1], generator=random)


def judge(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    values = x.numpy().astype(np.float64)
    centred = values - values.mean(-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
    return torch.from_numpy(normal * weight.double().numpy() + bias.double().numpy())


@pytest.mark.parametrize("shape", SHAPES)
def test_reference_is_the_definition(shape: tuple[int, ...]) -> None:
    arguments = inputs(*shape)
    torch.testing.assert_close(layer_norm_ref(*arguments, EPS).double(), judge(*arguments), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_interpreted_kernel(shape: tuple[int, ...], interpreter: Interpreter) -> None:
    arguments = inputs(*shape)
    (y,) = interpreter.launch("layer_norm", *arguments, EPS)
    torch.testing.assert_close(y.double(), judge(*arguments), atol=2e-4, rtol=1e-4)


def test_interpreted_kernel_in_half_precision(interpreter: Interpreter) -> None:
    x, weight, bias = (t.half() for t in inputs(6, 100))
    (y,) = interpreter.launch("layer_norm", x, weight, bias, EPS)
    assert y.dtype == torch.float16
    torch.testing.assert_close(y.double(), judge(x.float(), weight, bias), atol=1e-2, rtol=1e-2)


def test_interpreted_kernel_refuses_rows_beyond_registers(interpreter: Interpreter) -> None:
    with pytest.raises(ValueError, match="16385 channels, at most 16384"):
        interpreter.launch("layer_norm", *inputs(1, 16385), EPS)


@pytest.mark.parametrize(("capability", "dtype"), [(80, "fp16"), (90, "fp32"), (100, "fp16")])
def test_kernel_compiles(capability: int, dtype: str, compiler: Compiler) -> None:
    signature = dict.fromkeys(("x_ptr", "weight_ptr", "bias_ptr", "y_ptr"), f"*{dtype}")
    signature |= {"channels": "i32", "eps": "fp32"}
    code = compiler.compile("layer_norm", "layer_norm_kernel", signature, {"BLOCK_C": 512}, capability)
    assert code["ptx"] > 0
    assert code["cubin"] > 0


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
def test_kernel_on_a_card(shape: tuple[int, ...], cuda: torch.device) -> None:
    arguments = inputs(*shape)
    x, weight, bias = (t.to(cuda) for t in arguments)
    y = layer_norm(x, weight, bias, EPS)
    torch.testing.assert_close(y.cpu().double(), judge(*arguments), atol=2e-4, rtol=1e-4)
