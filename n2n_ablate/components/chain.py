"""The form of network that the engine trains fastest: a plain chain of layers."""

from __future__ import annotations

from torch import Tensor, nn


class DenoisingChain(nn.Module):
    """A chain of layers from the noisy to the denoised image, or to the noise in it.

    Chains of convolutions and pointwise activations are stacked as grouped convolutions; any other
    network works too, slower.

    Args:
        net: The layers, from c to c channels, height and width kept.
        residual: True subtracts what the layers predict from the noisy image; False takes it as
            the denoised image.
    """

    def __init__(self, net: nn.Sequential, *, residual: bool) -> None:
        super().__init__()
        self.net = net
        self.residual = residual

    def forward(self, noisy: Tensor) -> Tensor:
        """Denoise images, (n, c, h, w)."""
        predicted: Tensor = self.net(noisy)
        return noisy - predicted if self.residual else predicted
