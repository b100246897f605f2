"""The three-by-three sampler: a cross against an X. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from n2n_ablate import KernelSplit, Range, Register, Split, hookimpl


@dataclass(frozen=True)
class ThreeByThree:
    """Cross against X in every 3x3 cell, the centre pixel in both (N2N reproduction note).

    Images (b, c, h, w) become two views (b, c, h // 3, w // 3): a weighted mean of the cross (the
    four arms and the centre), then one of the X (the four corners and the centre). Up to two last
    rows and columns are dropped. White noise of standard deviation s falls to 0.50 s in each view,
    which has a ninth of the pixels.

    Each kernel is divided by its own sum, so only the ratios centre / arm and centre / corner
    count: scaling all three parameters by one factor changes nothing, and without a centre the
    other two have no effect. The defaults are the note's kernels, divided by 2.01.

    Args:
        center: Weight of the centre pixel. Above 0 its noise reaches both views.
        arm: Weight of each of the four arms of the cross.
        corner: Weight of each of the four corners of the X.

    Raises:
        ImageError: `draw` was given an image smaller than 3x3 pixels.
    """

    center: Annotated[float, Range(0, 0.5)] = 0.01
    arm: Annotated[float, Range(0.05, 1)] = 0.5
    corner: Annotated[float, Range(0.05, 1)] = 0.5

    fixed: ClassVar[bool] = True

    @property
    def leaks(self) -> bool:
        """True unless the centre weighs nothing: it feeds both views."""
        return self.center != 0

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        arm, middle = _shares(self.arm, self.center)
        cross = [[0.0, arm, 0.0], [arm, middle, arm], [0.0, arm, 0.0]]
        corner, middle = _shares(self.corner, self.center)
        x = [[corner, 0.0, corner], [0.0, middle, 0.0], [corner, 0.0, corner]]
        return KernelSplit.of(image, cross, x, stride=3, name="three-by-three")


def _shares(outer: float, center: float) -> tuple[float, float]:
    total = 4 * outer + center
    return outer / total, center / total


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("three-by-three", ThreeByThree)
