"""The stripe sampler: neighbouring columns, or rows, against each other. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from n2n_ablate import KernelSplit, Register, Split, hookimpl


@dataclass(frozen=True)
class Stripe:
    """Means of the two columns, or the two rows, of every 2x2 cell (N2N reproduction note).

    Images (b, c, h, w) become two views (b, c, h // 2, w // 2) that are shifted by one pixel
    against each other; an odd last row or column is dropped. White noise of standard deviation s
    falls to 0.71 s. Noise that is constant along rows stays independent between the views of
    `rows` and is the same in both views of `columns`; for noise along columns it is the reverse.

    Args:
        axis: `columns` gives the right column, then the left; `rows` the top row, then the bottom.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    axis: Literal["columns", "rows"] = "columns"

    fixed: ClassVar[bool] = True

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        if self.axis == "columns":
            first, second = [[0.0, 0.5], [0.0, 0.5]], [[0.5, 0.0], [0.5, 0.0]]
        else:
            first, second = [[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]]
        return KernelSplit.of(image, first, second, stride=2, name="stripe")


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("stripe", Stripe)
