"""Convolutions that may compute in another precision than what is around them, and work that is done piece by piece."""

from collections.abc import Generator
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


class FrameConv(Conv):
    """A convolution over frames [B, T, C], channels last in memory as the weights are.

    With 128 channels, 14 400 frames and bfloat16 on one core with AMX it takes 1.6 ms (3 wide) to 3.9 ms (11 wide); `Conv`
    takes 17 and 18.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, dilation)
        self.weight = _channels_last(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """[B, T, inputs] to float32 [B, T', outputs]."""
        return _frames(
            F.conv2d(
                _image(input, self.weight),
                self.weight[:, :, None],
                self.bias,
                (1, self.stride[0]),
                (0, int(self.padding[0])),
                (1, self.dilation[0]),
            )
        )


class FrameUpConv(UpConv):
    """As `FrameConv`, transposed."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.weight = _channels_last(self.weight)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[B, T, inputs] to float32 [B, T', outputs]."""
        image, weight = _image(input, self.weight), self.weight[:, :, None]
        return _frames(F.conv_transpose2d(image, weight, self.bias, (1, self.stride[0]), (0, int(self.padding[0]))))


def _channels_last(weight: Tensor) -> nn.Parameter:
    """The same numbers, those of one place in the kernel beside each other; converting and loading keep it so."""
    return nn.Parameter(weight.detach().transpose(1, 2).contiguous().transpose(1, 2))


def _image(frames: Tensor, weight: Tensor) -> Tensor:
    """[B, T, C] as [B, C, 1, T] without a copy, in the type of the weights."""
    return frames.to(weight.dtype).transpose(1, 2)[:, :, None]


def _frames(image: Tensor) -> Tensor:
    """[B, C, 1, T] as float32 [B, T, C]."""
    return image[:, :, 0].transpose(1, 2).float().contiguous()


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
