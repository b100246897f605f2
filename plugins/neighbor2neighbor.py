"""Neighbor2Neighbor: two random neighbours of every cell, and its regularised loss.

Huang et al., "Neighbor2Neighbor: Self-Supervised Denoising from Single Noisy Images", CVPR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from n2n_ablate import (
    LossContext,
    PixelSplit,
    Range,
    Register,
    Split,
    hookimpl,
    mse,
    pixel_numbers,
    require_cell,
)

# Ordered neighbours in a cell: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
_PAIRS = torch.tensor([[0, 1], [0, 2], [1, 3], [2, 3], [1, 0], [2, 0], [3, 1], [3, 2]])


@dataclass(frozen=True)
class RandomNeighbor:
    """Two neighbouring pixels of every 2x2 cell, drawn for each cell (Huang et al., 2021).

    Images (b, c, h, w) become two views (b, c, h // 2, w // 2); an odd last row or column is
    dropped. Each of the eight ordered pairs of pixels with a common side is equally likely; all
    channels share the draw. No pixel feeds both views, and noise keeps its standard deviation.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        require_cell(image, 2, "random-neighbor")
        h, w = (side // 2 for side in image.shape[-2:])
        pairs = _PAIRS[torch.randint(len(_PAIRS), (h, w), generator=rng)]  # (h, w, 2)
        corner = pixel_numbers(image)[: 2 * h : 2, : 2 * w : 2, None]
        places = corner + pairs // 2 * image.shape[-1] + pairs % 2
        return PixelSplit.of(image, *places.permute(2, 0, 1))


@dataclass(frozen=True)
class Neighbor2Neighbor:
    """One-way residual plus the difference that cutting makes anyway (Huang et al., 2021).

    With y the noisy image, x = denoised y, y1, y2 the views of y and x1 the first one denoised::

        residual    = |x1 - y2|^2
        regulariser = |(x1 - y2) - (D1 x - D2 x)|^2

    where D1 and D2 cut, |.|^2 is the mean over pixels and channels, and x is taken as a constant,
    as in the paper. The weight of the regulariser grows linearly over the training. With samplers
    for which cutting the denoised image has no meaning the regulariser is left out.

    Args:
        weight: Weight of the regulariser at the end of the training. The paper uses 1 and 2.
        ramp: True lets the weight grow from 0; False keeps it all the time.
    """

    weight: Annotated[float, Range(0, 8)] = 2.0
    ramp: bool = True

    def __call__(self, context: LossContext) -> Tensor:
        """Return the loss of each fit, shape (b,)."""
        y = context.views(context.noisy)
        first, second = context.pairs[0]
        (x1,) = context.denoise(y[first])
        error = x1 - y[second]
        residual = mse(x1, y[second])
        weight = self.weight * (context.progress if self.ramp else 1)
        if not context.supports_consistency or self.weight == 0:
            return residual
        with torch.no_grad():
            (x,) = context.denoise(context.noisy)
            cut = context.views(x)
        return residual + weight * mse(error, cut[first] - cut[second])


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("random-neighbor", RandomNeighbor)


@hookimpl
def register_losses(register: Register) -> None:
    """Register the loss of this file."""
    register("neighbor2neighbor", Neighbor2Neighbor)
