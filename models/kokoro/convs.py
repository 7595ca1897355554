"""Convolutions that may compute in another precision than what is around them, and work that is done piece by piece."""

from collections.abc import Generator
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
Pieces = Generator[None, None, T]
"""Work that can be left between its pieces, as others wait for theirs; it returns its result at the end."""


class Conv(nn.Conv1d):
    """Gives what it computes in, which is the type of its weights."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.to(self.weight.dtype))


class UpConv(nn.ConvTranspose1d):
    """As `Conv`, transposed."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(input.to(self.weight.dtype), output_size)


def use_bfloat16(*parts: nn.Module) -> None:
    """Let the convolutions of these parts compute in bfloat16, which some processors do several times as fast.

    Norms, the residual stream and everything about phases stay float32.
    """
    for part in parts:
        for layer in part.modules():
            if isinstance(layer, Conv | UpConv):
                layer.to(torch.bfloat16)


def finished(work: Pieces[T]) -> T:
    """Do all of it at once."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result
