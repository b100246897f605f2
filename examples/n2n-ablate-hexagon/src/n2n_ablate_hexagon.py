"""The hexagon sampler: the three colours of a honeycomb as three views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from n2n_ablate import (
    ImageError,
    Pairs,
    PixelSplit,
    Register,
    Split,
    hookimpl,
    pixel_numbers,
)

_PAIRS: dict[str, Pairs] = {
    "all": ((0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)),
    "ring": ((0, 1), (1, 2), (2, 0)),
}


@dataclass(frozen=True)
class Hexagon:
    """Three views, coloured so that the six neighbours of a honeycomb lie in others (this project).

    The pixel in row r and column c has the colour (c - r) mod 3. Images (b, c, h, w) become three
    views (b, c, h, w // 3), each holding, row by row, the pixels of one colour; up to two last
    columns are dropped. No pixel feeds two views, and noise keeps its standard deviation. Takes the
    checkerboard of Noise2Fast (Lequyer et al., 2022) from two colours to three.

    Args:
        pairs_of_views: Which view is trained to predict which. `all`: each both others, 6 pairs;
            `ring`: each the next colour, 3 pairs.

    Raises:
        ImageError: `draw` was given an image less than 3 pixels wide.
    """

    pairs_of_views: Literal["all", "ring"] = "all"

    fixed: ClassVar[bool] = True

    @property
    def pairs(self) -> Pairs:
        """See `n2n_ablate.Sampler`."""
        return _PAIRS[self.pairs_of_views]

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        h, w = image.shape[-2:]
        if w < 3:
            msg = f"sampler 'hexagon' needs an image of at least 3 columns, got {w}"
            raise ImageError(msg)
        rows = torch.arange(h)[:, None]
        columns = 3 * torch.arange(w // 3)
        numbers = pixel_numbers(image)
        views = [numbers[rows, columns + (rows + colour) % 3] for colour in range(3)]
        return PixelSplit.of(image, *views)


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this package."""
    register("hexagon", Hexagon)
