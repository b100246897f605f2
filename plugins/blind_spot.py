"""Blind spots: samplers that hide pixels from the network, and the loss that looks only there.

A network that has to predict a pixel without seeing it cannot learn its noise, where the noise of
neighbours is independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from n2n_ablate import (
    LossContext,
    Pairs,
    ParameterError,
    PixelSplit,
    Range,
    Register,
    Split,
    Views,
    hookimpl,
    mse,
    pixel_numbers,
    require_cell,
)

_AROUND = ((0.5, 1.0, 0.5), (1.0, 0.0, 1.0), (0.5, 1.0, 0.5))


@dataclass(frozen=True)
class Noise2Void:
    """One pixel in every box is replaced by a pixel near it (Noise2Void: Krull et al., 2019).

    Two views of full size: the image with the replaced pixels, and the image. The network predicts
    the second from the first, and the loss (`masked`) looks at the replaced pixels alone. Where and
    by what they are replaced is drawn anew at every step. Unlike the authors' code it never copies a
    pixel that is itself hidden, so that nothing of a hidden pixel reaches the network.

    Args:
        box: Side of a box in pixels; 8 hides 1.6 % of the pixels, as in the paper.
        radius: How far away in pixels, by row and by column, the replacement may lie.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    box: Annotated[int, Range(2, 64)] = 8
    radius: Annotated[int, Range(1, 16)] = 2

    pairs: ClassVar[Pairs] = ((0, 1),)

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        require_cell(image, 2, "noise2void")
        h, w = image.shape[-2:]
        top, left = _edges(h, self.box), _edges(w, self.box)
        chance = torch.rand((2, len(top) - 1, len(left) - 1), generator=rng)
        rows = (top[:-1, None] + chance[0] * top.diff()[:, None]).long().flatten()
        columns = (left[:-1] + chance[1] * left.diff()).long().flatten()
        mask = torch.zeros(h, w, dtype=torch.bool)
        mask[rows, columns] = True
        reach = torch.arange(-self.radius, self.radius + 1)
        down = rows[:, None] + reach.repeat_interleave(len(reach))  # (hidden, candidates)
        right = columns[:, None] + reach.repeat(len(reach))
        inside = (down >= 0) & (down < h) & (right >= 0) & (right < w)
        down, right = down.clamp(0, h - 1), right.clamp(0, w - 1)
        score = torch.rand(down.shape, generator=rng)
        best = torch.where(inside & ~mask[down, right], score, -1.0).argmax(dim=1, keepdim=True)
        numbers = pixel_numbers(image)
        source = numbers.clone()
        source[rows, columns] = numbers[down, right].gather(1, best)[:, 0]
        return PixelSplit.of(image, source, numbers, mask=mask)


def _edges(side: int, box: int) -> Tensor:
    """Return where boxes begin and end: none is smaller than `box`, unless the image is."""
    count = max(1, side // box)
    return torch.arange(count + 1) * side // count


@dataclass(frozen=True)
class Noise2Self:
    """A grid of pixels is replaced by the mean of their neighbours (Noise2Self: Batson and Royer, 2019).

    Two views of full size: the image with the replaced pixels, and the image. The network predicts
    the second from the first, and the loss (`masked`) looks at the replaced pixels alone. One pixel
    of every cell is on the grid, another at every step, drawn by chance where the authors' code takes
    turns. Neighbours weigh 1 beside and 1/2 at the corners; borders are mirrored.

    Args:
        width: Side of a cell in pixels.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    width: Annotated[int, Range(2, 16)] = 4

    pairs: ClassVar[Pairs] = ((0, 1),)

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        require_cell(image, 2, "noise2self")
        h, w = image.shape[-2:]
        mask = torch.zeros(1, 1, h, w, dtype=torch.bool)
        top, left = (
            int(torch.randint(min(side, self.width), (), generator=rng)) for side in (h, w)
        )
        mask[..., top :: self.width, left :: self.width] = True
        return Hidden(mask.to(image.device), _neighbours)


@dataclass(frozen=True)
class BernoulliMask:
    """Every pixel is set to 0 with some probability (Self2Self: Quan et al., 2020).

    Two views of full size: the image with its pixels removed, and the image. The network predicts
    the second from the first, and the loss (`masked`) looks at the removed pixels alone. Drawn anew at
    every step, for all channels together. The paper's denoised image is a mean over such draws with
    dropout in the network: estimator `masked-ensemble`, backbone `unet` with `dropout`.

    Args:
        probability: How likely a pixel is removed.
    """

    probability: Annotated[float, Range(0.01, 0.95)] = 0.3

    preserves_mean: ClassVar[bool] = False
    pairs: ClassVar[Pairs] = ((0, 1),)

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        mask = torch.rand((1, 1, *image.shape[-2:]), generator=rng) < self.probability
        return Hidden(mask.to(image.device), torch.zeros_like)


@dataclass(frozen=True, eq=False)
class Hidden:
    """The image with its hidden pixels filled, and the image itself.

    Attributes:
        mask: Where pixels are hidden, truth values (b, 1, h, w).
        fill: Returns what to put there, from images to the same shape.
    """

    mask: Tensor = field(repr=False)
    fill: Callable[[Tensor], Tensor]

    def __call__(self, image: Tensor) -> Views:
        """Cut images (b, c, h, w)."""
        return torch.where(self.mask, self.fill(image), image), image

    @staticmethod
    def stacked(splits: Sequence[Hidden]) -> Split:
        """Return a split that hides pixels of image i as split i does."""
        return Hidden(torch.cat([split.mask for split in splits]), splits[0].fill)


def _neighbours(image: Tensor) -> Tensor:
    h, w = image.shape[-2:]
    framed = pad(image, (1, 1, 1, 1), mode="reflect")
    total = torch.zeros_like(image)
    for y, row in enumerate(_AROUND):
        for x, weight in enumerate(row):
            total = total + weight / 6 * framed[..., y : y + h, x : x + w]
    return total


@dataclass(frozen=True)
class Masked:
    """Mean squared error over the hidden pixels (Krull et al., 2019; Batson and Royer, 2019).

    With the views of a sampler that hides pixels: the first, denoised, must predict the second where
    the mask is true; elsewhere it could copy.

    Raises:
        ParameterError: The sampler hides no pixel.
    """

    def __call__(self, context: LossContext) -> Tensor:
        """Return the loss of each fit, shape (b,)."""
        mask = context.mask
        if mask is None:
            msg = (
                "loss 'masked' needs a sampler that hides pixels, such as noise2void or noise2self"
            )
            raise ParameterError(msg)
        y = context.views(context.noisy)
        x = context.denoise(*(y[i] for i, _ in context.pairs))
        errors = [mse(one, y[j], mask) for one, (_, j) in zip(x, context.pairs, strict=True)]
        return torch.stack(errors).mean(dim=0)


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the samplers of this file."""
    register("noise2void", Noise2Void)
    register("noise2self", Noise2Self)
    register("bernoulli-mask", BernoulliMask)


@hookimpl
def register_losses(register: Register) -> None:
    """Register the loss of this file."""
    register("masked", Masked)
