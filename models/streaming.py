"""Layers that work chunk by chunk, with their state as an argument.

State tensors are made by ``init_state``, passed in and returned, never kept in
the module and never changed in place. One module therefore serves any number of
streams, the state of all slots can live in one tensor, and a stream's state can
be copied, dropped or resumed by plain indexing:

    y, stepped = conv(x, states[slots])        # step some slots of a pool
    states[slots] = stepped                    # rows that did not step are untouched

Where all rows go through a step together but some have fewer frames (or none),
``lengths`` says how many are real; a row of length 0 gets its state back bit for
bit.
"""

import torch
from torch import Tensor, nn

from kernels.causal_conv import depthwise_causal_conv


class CausalConv(nn.Module):
    """Depthwise convolution over time that looks back only, [B, T, C] to [B, T, C].

    Parameters are ``weight`` [C, K] and ``bias`` [C]. Mixing of channels belongs to
    a linear layer after it, as in a separable convolution (Chollet 2017).
    """

    def __init__(self, channels: int, kernel_frames: int) -> None:
        super().__init__()
        if channels < 1 or kernel_frames < 1:
            raise ValueError(f"channels ({channels}) and kernel_frames ({kernel_frames}) must be at least 1")
        self.channels = channels
        self.kernel_frames = kernel_frames
        self.weight = nn.Parameter(torch.empty(channels, kernel_frames))
        self.bias = nn.Parameter(torch.zeros(channels))
        # Variance 1/K keeps the variance of white input, whatever the kernel size.
        nn.init.normal_(self.weight, std=kernel_frames**-0.5)

    def init_state(self, batch_rows: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
        """The state before the first frame: silence, [B, K-1, C]."""
        return torch.zeros(batch_rows, self.kernel_frames - 1, self.channels, device=device, dtype=dtype)

    def forward(self, x: Tensor, state: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Convolve one chunk.

        Args:
            x: [B, T, C], any T.
            state: [B, K-1, C] from `init_state` or the call before.
            lengths: [B], how many frames of each row are real; None means all T.

        Returns:
            ``y`` [B, T, C], without meaning past a row's length, and the new state.
        """
        return depthwise_causal_conv(x, self.weight, self.bias, state, lengths)
