"""Layer normalisation over the channels (Ba, Kiros and Hinton 2016)."""

import torch
from torch import Tensor

from kernels.choice import use_triton


def layer_norm_ref(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Torch's own layer norm over the last dimension; see `layer_norm`."""
    return torch.nn.functional.layer_norm(x, weight.shape, weight, bias, eps)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Normalise the last dimension to mean 0 and variance 1, then scale and shift.

    Args:
        x: [..., C].
        weight, bias: [C].
        eps: added to the variance (the biased one, divided by C).

    Returns:
        [..., C] in the dtype of ``x``; statistics are float32 for half precision.
    """
    if use_triton("layer_norm", x, weight, bias):
        from kernels.triton import layer_norm

        return layer_norm.launch(x, weight, bias, eps)
    return layer_norm_ref(x, weight, bias, eps)
