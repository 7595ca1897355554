"""Layers without state that several families use, built on `kernels`."""

from torch import Tensor, nn

from kernels.layer_norm import layer_norm


class LayerNorm(nn.LayerNorm):
    """`torch.nn.LayerNorm` over the last dimension (same parameters and names), by our kernel on a card."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [..., C] over C."""
        return layer_norm(input, self.weight, self.bias, self.eps)
