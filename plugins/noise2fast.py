"""The checkerboard sampler of Noise2Fast. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from n2n_ablate import Pairs, PixelSplit, Register, Split, hookimpl, pixel_numbers, require_cell

_BOTH: Pairs = ((0, 1), (1, 0), (2, 3), (3, 2))
_ONE: Pairs = ((0, 1), (1, 0))


@dataclass(frozen=True)
class Checkerboard:
    """The two colours of a chequerboard, pushed together (Noise2Fast: Lequyer et al., 2022).

    `rows` pushes along columns: view 1 is made of the pixels whose row and column numbers add up
    to an even number, view 2 of the others, both (b, c, h // 2, w) and in their own columns.
    `columns` does the same along rows, to (b, c, h, w // 2). An odd last row or column is dropped.
    No pixel feeds both views of a pair, and noise keeps its standard deviation. Every pixel is
    used. The paper trains on one random pair of `both` per step; this trains on all of them at
    every step, which has the same gradient on average. One pair per step, rows and columns by
    turns where the paper draws, is `schedule` with `order = "turns"` over `rows` and `columns`.

    Args:
        axis: `rows` halves the height, `columns` the width, `both` gives all four views.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    axis: Literal["both", "rows", "columns"] = "both"

    fixed: ClassVar[bool] = True

    @property
    def pairs(self) -> Pairs:
        """See `n2n_ablate.Sampler`."""
        return _BOTH if self.axis == "both" else _ONE

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        require_cell(image, 2, "checkerboard")
        numbers = pixel_numbers(image)
        views: list[Tensor] = []
        if self.axis != "columns":
            views += _colours(numbers)
        if self.axis != "rows":
            views += [view.T for view in _colours(numbers.T)]
        return PixelSplit.of(image, *views)


def _colours(numbers: Tensor) -> list[Tensor]:
    """Return the pixels of both colours, each (h // 2, w): one of every two rows, by turns."""
    h, w = numbers.shape
    upper, lower = numbers[0 : h - 1 : 2], numbers[1::2]
    even = torch.arange(w) % 2 == 0
    return [torch.where(even, upper, lower), torch.where(even, lower, upper)]


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("checkerboard", Checkerboard)
