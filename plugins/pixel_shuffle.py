"""The pixel-shuffle sampler: sub-images several pixels apart. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from n2n_ablate import (
    Pairs,
    PixelSplit,
    Range,
    Register,
    Split,
    hookimpl,
    pixel_numbers,
    require_cell,
)


@dataclass(frozen=True)
class PixelShuffle:
    """Every f-th pixel as one of f x f sub-images, each predicting one farther along (R-ZS-N2N).

    Images (b, c, h, w) become f x f views (b, c, h // f, w // f), row by row; up to f - 1 last
    rows and columns are dropped. They form a ring, and each view is trained to predict the one
    `turn` further. Neighbouring pixels of a view are f pixels apart in the image and paired views
    about f / 2, so noise that is correlated over a pixel or two stays nearly independent: this is
    the pixel-shuffle downsampling of Zhou et al. (2020) and AP-BSN (Lee et al., 2022), with the
    ring of R-ZS-N2N (github.com/zhanzhanblue/R-ZS-N2N: factor 5, 12 places). Noise keeps its
    standard deviation, detail suffers.

    Args:
        factor: Distance in pixels between the pixels of a view.
        turn: How far along the ring the target lies, as a share of it. At least one place, and
            never the view itself.

    Raises:
        ImageError: `draw` was given an image smaller than one cell of f x f pixels.
    """

    factor: Annotated[int, Range(2, 8)] = 5
    turn: Annotated[float, Range(0, 1)] = 0.48

    fixed: ClassVar[bool] = True

    @property
    def pairs(self) -> Pairs:
        """See `n2n_ablate.Sampler`."""
        count = self.factor**2
        shift = min(max(1, round(self.turn * count)), count - 1)
        return tuple((place, (place + shift) % count) for place in range(count))

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        f = self.factor
        require_cell(image, f, "pixel-shuffle")
        h, w = (side - side % f for side in image.shape[-2:])
        numbers = pixel_numbers(image)[:h, :w]
        views = [numbers[row::f, column::f] for row in range(f) for column in range(f)]
        return PixelSplit.of(image, *views)


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("pixel-shuffle", PixelShuffle)
