"""The random partition sampler: two pixels of every 2x2 cell against the other two, by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from n2n_ablate import PixelSplit, Range, Register, Split, hookimpl, pixel_numbers, require_cell

# Pixels of a cell: 0 top left, 1 top right, 2 bottom left, 3 bottom right. Diagonals come first.
_HALVES = torch.tensor([[[1, 2], [0, 3]], [[1, 3], [0, 2]], [[0, 1], [2, 3]]])


@dataclass(frozen=True)
class RandomPartition:
    """Means of two pixels of every 2x2 cell against the other two, in random order (this project).

    Images (b, c, h, w) become two views (b, c, h // 2, w // 2). An odd last row or column is
    dropped. No pixel feeds both views; white noise of standard deviation s falls to 0.71 s. With
    `diagonal` and chance 0 this is the diagonal sampler of Mansour and Heckel (2023). Swapping the
    views of single cells keeps that pair, but neither view is shifted as a whole.

    Args:
        partitions: `diagonal` always parts a cell into its diagonals; `all` draws one of the three
            ways for each cell: diagonals, columns or rows.
        chance: How likely the two means of a cell are to be swapped.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    partitions: Literal["diagonal", "all"] = "diagonal"
    chance: Annotated[float, Range(0, 1)] = 0.5

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        require_cell(image, 2, "random-partition")
        h, w = (side // 2 for side in image.shape[-2:])
        ways = len(_HALVES) if self.partitions == "all" else 1
        way = torch.randint(ways, (h, w), generator=rng)
        swapped = torch.rand((h, w), generator=rng) < self.chance
        halves = _HALVES[way]  # (h, w, 2 views, 2 pixels)
        halves = torch.where(swapped[..., None, None], halves.flip(2), halves)
        corner = pixel_numbers(image)[: 2 * h : 2, : 2 * w : 2, None, None]
        places = corner + halves // 2 * image.shape[-1] + halves % 2
        return PixelSplit.of(image, *places.permute(2, 3, 0, 1))


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("random-partition", RandomPartition)
