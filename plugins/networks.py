"""Small networks of the field: DnCNN without normalisation, and a U-Net."""

from __future__ import annotations

import itertools
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
    """A U-Net that predicts the noise (after Ronneberger et al., 2015), of two scales by default.

    Two 3x3 convolutions with LeakyReLU 0.2 at full size, the same at half size after a maximum
    pooling, and so on; then back, at every size two more convolutions over both, and one of 1x1. Sizes
    that are odd are brought back by stretching to the nearest neighbour. At width 32 and two scales it
    has 102,595 weights for three channels. Where a pixel reaches depends on its place, so it declares
    no halo, and large images are denoised in one piece.

    Args:
        width: Channels at full size; each smaller size has twice as many.
        residual: True subtracts what the network predicts from the noisy image; False takes it as
            the denoised image.
        scales: Number of sizes.
        dropout: Share of the values that are dropped before every pair of convolutions on the way
            back (0.3 in Self2Self: Quan et al., 2020). On for the result only if the estimator asks.
    """

    width: Annotated[int, Range(1, 128)] = 32
    residual: bool = True
    scales: Annotated[int, Range(2, 5)] = 2
    dropout: Annotated[float, Range(0, 0.9)] = 0.0

    def build(self, channels: int) -> nn.Module:
        """See `n2n_ablate.Backbone.build`."""
        return _UNet(channels, [self.width * 2**scale for scale in range(self.scales)], self)


class _UNet(nn.Module):
    def __init__(self, channels: int, widths: list[int], parts: UNet) -> None:
        super().__init__()
        self.down = nn.ModuleList(map(_two, [channels, *widths], widths))
        self.up = nn.ModuleList(
            _two(fine + coarse, fine) for fine, coarse in itertools.pairwise(widths)
        )
        self.last = nn.Conv2d(widths[0], channels, 1)
        self.drop = nn.Dropout(parts.dropout) if parts.dropout else None
        self.residual = parts.residual

    def forward(self, noisy: Tensor) -> Tensor:
        sizes = [self.down[0](noisy)]
        for two in self.down[1:]:
            # A side of one pixel cannot be halved: ceil_mode keeps it.
            sizes.append(two(max_pool2d(sizes[-1], 2, ceil_mode=True)))
        out = sizes.pop()
        for two in reversed(self.up):
            fine = sizes.pop()
            wide = interpolate(out, size=fine.shape[-2:], mode="nearest")
            both = torch.cat([fine, wide], dim=1)
            out = two(both if self.drop is None else self.drop(both))
        predicted: Tensor = self.last(out)
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
