"""The asymmetric diagonal sampler: unequal weights on each diagonal. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from n2n_ablate import KernelSplit, Range, Register, Split, hookimpl


@dataclass(frozen=True)
class AsymmetricDiagonal:
    """Weighted means of the two diagonals of every 2x2 cell (after Mansour and Heckel, 2023).

    With the cell [[a, b], [c, d]] and share s the views are s b + (1 - s) c and s a + (1 - s) d, of
    shape (b, c, h // 2, w // 2). An odd last row or column is dropped. No pixel feeds both views;
    white noise of standard deviation e falls to e sqrt(s^2 + (1 - s)^2) in each, which is least
    at 0.5: the published diagonal sampler. The default is the more unequal of the two settings
    (.35 and .45) of a public variant of ZS-N2N:
    github.com/sadjadrz/Zero-shot-image-denoising-based-on-downsampling.

    Args:
        share: Weight of the upper pixel of each diagonal; the lower one has the rest.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    share: Annotated[float, Range(0, 1)] = 0.35

    fixed: ClassVar[bool] = True

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        upper, lower = self.share, 1 - self.share
        rising = [[0.0, upper], [lower, 0.0]]
        falling = [[upper, 0.0], [0.0, lower]]
        return KernelSplit.of(image, rising, falling, stride=2, name="asymmetric-diagonal")


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("asymmetric-diagonal", AsymmetricDiagonal)
