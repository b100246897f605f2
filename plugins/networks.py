"""Small networks of the field: DnCNN without normalisation, and a U-Net of two scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from n2n_ablate import DenoisingChain, Range, Register, hookimpl


@dataclass(frozen=True)
class DnCnn:
    """A chain of 3x3 convolutions with ReLU that predicts the noise (after Zhang et al., 2017).

    `depth` convolutions: c to `width`, `width` to `width`, and back to c, with ReLU between them
    and zero padding; any image size. The paper has depth 17 and batch normalisation; one image has
    no batch to normalise over. At depth 6 and width 48 it has 85,779 weights for three channels.

    Args:
        depth: Number of convolutions.
        width: Channels between them.
        residual: True subtracts what the network predicts from the noisy image, as in the paper;
            False takes it as the denoised image.
    """

    depth: Annotated[int, Range(2, 17)] = 6
    width: Annotated[int, Range(8, 256)] = 48
    residual: bool = True

    @property
    def halo(self) -> int:
        """Radius of the receptive field in pixels: one per convolution."""
        return self.depth

    def build(self, channels: int) -> nn.Module:
        """See `n2n_ablate.Backbone.build`."""
        layers: list[nn.Module] = [nn.Conv2d(channels, self.width, 3, padding=1), nn.ReLU()]
        for _ in range(self.depth - 2):
            layers += [nn.Conv2d(self.width, self.width, 3, padding=1), nn.ReLU()]
        layers.append(nn.Conv2d(self.width, channels, 3, padding=1))
        return DenoisingChain(nn.Sequential(*layers), residual=self.residual)


@dataclass(frozen=True)
class UNet:
    """A U-Net of two scales that predicts the noise (after Ronneberger et al., 2015).

    Two 3x3 convolutions with LeakyReLU 0.2 at full size, the same at half size after a maximum
    pooling, then both together, two more convolutions and one of 1x1. Sizes that are odd are
    brought back by stretching to the nearest neighbour. At width 32 it has 102,595 weights for
    three channels. Where a pixel reaches depends on its place, so it declares no halo, and large
    images are denoised in one piece.

    Args:
        width: Channels at full size; half size has twice as many.
        residual: True subtracts what the network predicts from the noisy image; False takes it as
            the denoised image.
    """

    width: Annotated[int, Range(1, 128)] = 32
    residual: bool = True

    def build(self, channels: int) -> nn.Module:
        """See `n2n_ablate.Backbone.build`."""
        return _UNet(channels, self.width, self.residual)


class _UNet(nn.Module):
    def __init__(self, channels: int, width: int, residual: bool) -> None:
        super().__init__()
        self.fine = _two(channels, width)
        self.coarse = _two(width, 2 * width)
        self.joined = _two(3 * width, width)
        self.last = nn.Conv2d(width, channels, 1)
        self.residual = residual

    def forward(self, noisy: Tensor) -> Tensor:
        fine = self.fine(noisy)
        # A side of one pixel cannot be halved: ceil_mode keeps it.
        coarse = self.coarse(max_pool2d(fine, 2, ceil_mode=True))
        wide = interpolate(coarse, size=fine.shape[-2:], mode="nearest")
        predicted: Tensor = self.last(self.joined(torch.cat([fine, wide], dim=1)))
        return noisy - predicted if self.residual else predicted


def _two(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(after, after, 3, padding=1),
        nn.LeakyReLU(0.2),
    )


@hookimpl
def register_backbones(register: Register) -> None:
    """Register the backbones of this file."""
    register("dncnn", DnCnn)
    register("unet", UNet)
