"""The quad sampler: the four pixels of every 2x2 cell as four views. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from n2n_ablate import Pairs, PixelSplit, Register, Split, hookimpl, pixel_numbers, require_cell

_PAIRS: dict[str, Pairs] = {
    "all": tuple((i, j) for i in range(4) for j in range(4) if i != j),
    "neighbors": ((0, 1), (1, 0), (0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2)),
    "diagonal": ((0, 3), (3, 0), (1, 2), (2, 1)),
    "ring": ((0, 1), (1, 3), (3, 2), (2, 0)),
}


@dataclass(frozen=True)
class Quad:
    """The four pixels of every 2x2 cell as four views, space to depth (after Huang et al., 2021).

    Images (b, c, h, w) become four views (b, c, h // 2, w // 2) in the order top left, top right,
    bottom left, bottom right; an odd last row or column is dropped. No pixel feeds two views, and
    noise keeps its standard deviation. Where Neighbor2Neighbor draws one pair of neighbours per
    cell, this trains all pairs at every step, which costs twice the work but draws nothing.

    Args:
        pairs_of_views: Which view is trained to predict which. `all`: the 12 ordered pairs;
            `neighbors`: the 8 with a common side; `diagonal`: the 4 with a common corner; `ring`:
            each predicts the next one clockwise, 4 pairs.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    pairs_of_views: Literal["all", "neighbors", "diagonal", "ring"] = "all"

    fixed: ClassVar[bool] = True

    @property
    def pairs(self) -> Pairs:
        """See `n2n_ablate.Sampler`."""
        return _PAIRS[self.pairs_of_views]

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        require_cell(image, 2, "quad")
        h, w = (side - side % 2 for side in image.shape[-2:])
        cells = pixel_numbers(image)[:h, :w]
        return PixelSplit.of(
            image, cells[0::2, 0::2], cells[0::2, 1::2], cells[1::2, 0::2], cells[1::2, 1::2]
        )


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("quad", Quad)
