"""ZS-ACL: a cross against an X at stride 2, a loss that leans to the smaller part, a light network.

"ZS-ACL: Light-weight Zero-shot Image Denoising using alpha-Conditional Loss", with the public code
of its authors (kshahmir49/ZS-ACL).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from n2n_ablate import (
    DenoisingChain,
    KernelSplit,
    LossContext,
    Range,
    Register,
    Split,
    hookimpl,
    mse,
)


@dataclass(frozen=True)
class CrossX:
    """Mean of the cross against mean of the X in every 3x3 window, at stride 2 (ZS-ACL).

    Images (b, c, h, w) become two views (b, c, (h - 1) // 2, (w - 1) // 2): the four arms, then
    the four corners with the centre. Windows overlap by one row or column, so neighbours within a
    view share pixels; no pixel feeds both views, because the arms and the rest are the two
    colours of a chequerboard. White noise of standard deviation s falls to 0.50 s and 0.45 s. As in
    the authors' code (github.com/kshahmir49/ZS-ACL).

    Raises:
        ImageError: `draw` was given an image smaller than 3x3 pixels.
    """

    fixed: ClassVar[bool] = True

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        cross = [[0.0, 0.25, 0.0], [0.25, 0.0, 0.25], [0.0, 0.25, 0.0]]
        x = [[0.2, 0.0, 0.2], [0.0, 0.2, 0.0], [0.2, 0.0, 0.2]]
        return KernelSplit.of(image, cross, x, stride=2, name="cross-x")


@dataclass(frozen=True)
class AlphaConditional:
    """Residual and consistency, each leaning to the smaller of its two directions (ZS-ACL).

    With y1, y2 the views of the noisy image y, x1, x2 their denoised versions and x = denoised y::

        residual    = 1/2 (alpha min(r1, r2) + (1 - alpha) max(r1, r2))
        consistency = 1/2 (alpha min(c1, c2) + (1 - alpha) max(c1, c2))
        r1 = |x1 - y2|^2,  r2 = |x2 - y1|^2,  c1 = |x1 - D1 x|^2,  c2 = |x2 - D2 x|^2

    where D1 and D2 cut and |.|^2 is the mean over pixels and channels. At alpha 0.5 this is half
    the loss of Mansour and Heckel (2023). With more pairs of views min and max are over all of
    them; with samplers for which cutting the denoised image has no meaning the consistency is left
    out. Loss and default are those of the authors' code (github.com/kshahmir49/ZS-ACL).

    Args:
        alpha: Share of the smaller one.
    """

    alpha: Annotated[float, Range(0, 1)] = 0.8

    def __call__(self, context: LossContext) -> Tensor:
        """Return the sum of both parts for each fit, shape (b,)."""
        y = context.views(context.noisy)
        x = context.denoise(*y)
        loss = self._lean([mse(x[i], y[j]) for i, j in context.pairs])
        if context.supports_consistency:
            (full,) = context.denoise(context.noisy)
            pairs = zip(x, context.views(full), strict=True)
            loss = loss + self._lean([mse(view, cut) for view, cut in pairs])
        return loss

    def _lean(self, errors: list[Tensor]) -> Tensor:
        each = torch.stack(errors)
        return (self.alpha * each.amin(dim=0) + (1 - self.alpha) * each.amax(dim=0)) / 2


@dataclass(frozen=True)
class ZsAcl:
    """Two 3x3 convolutions around two 1x1 ones that predict the noise, 5,955 weights (ZS-ACL).

    Convolution 3x3 from c to width / 2 channels, SELU, 1x1 to width, SELU, 1x1 to width / 2, SELU,
    3x3 back to c; zero padding; any image size. At width 64 it has 5,955 weights for three
    channels and 4,801 for one, as in the authors' code (github.com/kshahmir49/ZS-ACL).

    Args:
        width: Channels in the middle; an odd one is rounded down on the sides.
        residual: True subtracts what the network predicts from the noisy image, as the authors do;
            False takes it as the denoised image.
    """

    width: Annotated[int, Range(2, 512)] = 64
    residual: bool = True

    halo: ClassVar[int] = 2
    """Radius of the receptive field in pixels: one per 3x3 convolution."""

    def build(self, channels: int) -> nn.Module:
        """See `n2n_ablate.Backbone.build`."""
        side = self.width // 2
        net = nn.Sequential(
            nn.Conv2d(channels, side, 3, padding=1),
            nn.SELU(),
            nn.Conv2d(side, self.width, 1),
            nn.SELU(),
            nn.Conv2d(self.width, side, 1),
            nn.SELU(),
            nn.Conv2d(side, channels, 3, padding=1),
        )
        return DenoisingChain(net, residual=self.residual)


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("cross-x", CrossX)


@hookimpl
def register_losses(register: Register) -> None:
    """Register the loss of this file."""
    register("alpha-conditional", AlphaConditional)


@hookimpl
def register_backbones(register: Register) -> None:
    """Register the backbone of this file."""
    register("zs-acl", ZsAcl)
