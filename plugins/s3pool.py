"""The S3Pool sampler: one random row and column of every two, against the rest. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from n2n_ablate import PixelSplit, Register, Split, hookimpl, pixel_numbers, require_cell


@dataclass(frozen=True)
class S3Pool:
    """One random row of every two and one random column of every two, twice (Zhai et al., 2017).

    The first view keeps the pixels where a kept row meets a kept column, as S3Pool does; all
    channels share the draw. Images (b, c, h, w) become two views (b, c, h // 2, w // 2); an odd
    last row or column is dropped, and noise keeps its standard deviation.

    Args:
        second: `complement` takes the other row and the other column for the second view, so
            no pixel feeds both. `independent` draws once more, as the code of the N2N
            reproduction note does: one pixel in four is then in both views.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    second: Literal["complement", "independent"] = "complement"

    @property
    def leaks(self) -> bool:
        """True if the second view may take a pixel of the first."""
        return self.second == "independent"

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        require_cell(image, 2, "s3pool")
        h, w = (side // 2 for side in image.shape[-2:])
        numbers = pixel_numbers(image)
        rows, columns = _one_of_two(h, rng), _one_of_two(w, rng)
        if self.second == "complement":
            other = rows ^ 1, columns ^ 1
        else:
            other = _one_of_two(h, rng), _one_of_two(w, rng)
        first = numbers[rows[:, None], columns]
        return PixelSplit.of(image, first, numbers[other[0][:, None], other[1]])


def _one_of_two(count: int, rng: torch.Generator) -> Tensor:
    return 2 * torch.arange(count) + torch.randint(2, (count,), generator=rng)


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("s3pool", S3Pool)
