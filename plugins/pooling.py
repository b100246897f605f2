"""Pooling samplers: maximum, mean and one random pixel of every 2x2 cell, two of them at a time.

All of them leak: a pixel's noise reaches both views, so they break the assumption of Noise2Noise.
They are here because the reproduction note compared them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from n2n_ablate import Register, Split, Views, hookimpl, require_cell


@dataclass(frozen=True, eq=False)
class Pick:
    """One pixel of every 2x2 cell, the same ones whenever it is applied.

    Attributes:
        lower: Whether the pixel is in the cell's second row; broadcasts to (b, c, h // 2, w // 2).
        right: Whether it is in the cell's second column; likewise.
    """

    lower: Tensor
    right: Tensor

    def __call__(self, image: Tensor) -> Tensor:
        """Return the pixels of images (b, c, h, w) as (b, c, h // 2, w // 2)."""
        q00, q01, q10, q11 = _quarters(image)
        top = torch.where(self.right, q01, q00)
        bottom = torch.where(self.right, q11, q10)
        return torch.where(self.lower, bottom, top)


def pick_by_value(image: Tensor, rng: torch.Generator) -> Pick:
    """Draw a pixel per cell and channel with a probability proportional to its value.

    Stochastic pooling of Zeiler and Fergus (2013). Values below 0 count as 0; in a cell without
    any positive value all four pixels are equally likely.
    """
    weights = torch.stack(_quarters(image.detach())).double().clamp(min=0)
    empty = weights.sum(dim=0) == 0
    q00, q01, q10, q11 = torch.where(empty, 1.0, weights)
    # The numbers come from the CPU, so that one seed gives one draw on every device. With 53 bits
    # the product cannot round up to the total and so hit a last pixel of weight 0.
    uniform = torch.rand(q00.shape, generator=rng, dtype=torch.float64).to(image.device)
    place = uniform * (q00 + q01 + q10 + q11)
    lower = place >= q00 + q01
    right = torch.where(lower, place >= q00 + q01 + q10, place >= q00)
    return Pick(lower, right)


def pick_spatially(image: Tensor, rng: torch.Generator) -> Pick:
    """Draw one row of every two and one column of every two; all channels share them.

    The sampling of S3Pool (Zhai et al., 2017).
    """
    h, w = image.shape[-2:]
    lower = torch.randint(2, (h // 2, 1), generator=rng) == 1
    right = torch.randint(2, (1, w // 2), generator=rng) == 1
    return Pick(lower.to(image.device), right.to(image.device))


_PICKS = {"value": pick_by_value, "spatial": pick_spatially}


@dataclass(frozen=True)
class MaxAvgPool:
    """Maximum against mean of every 2x2 cell (N2N reproduction note).

    Images (b, c, h, w) become two views (b, c, h // 2, w // 2); an odd last row or column is
    dropped. The maximum of noise is biased: by 1.03 of its standard deviation on flat images.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    fixed: ClassVar[bool] = True
    leaks: ClassVar[bool] = True

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        require_cell(image, 2, "max-avg-pool")
        return lambda image: (max_pool2d(image, 2), avg_pool2d(image, 2))


@dataclass(frozen=True)
class AvgStochasticPool:
    """Mean of every 2x2 cell against one random pixel of it (N2N reproduction note).

    Images (b, c, h, w) become two views (b, c, h // 2, w // 2); an odd last row or column is
    dropped. The pixels are drawn anew at every draw; a split keeps its own.

    Args:
        pick: How to choose the pixel; the note's text and code disagree. `value` takes each with a
            probability proportional to its noisy value, per channel (stochastic pooling: Zeiler
            and Fergus, 2013), which favours bright noise. `spatial` takes one row of every two and
            one column of every two for all channels (S3Pool: Zhai et al., 2017): without bias.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    pick: Literal["value", "spatial"] = "value"

    leaks: ClassVar[bool] = True

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        require_cell(image, 2, "avg-stochastic-pool")
        pick = _PICKS[self.pick](image, rng)
        return lambda image: (avg_pool2d(image, 2), pick(image))


@dataclass(frozen=True)
class MaxStochasticPool:
    """Maximum of every 2x2 cell against one random pixel of it (N2N reproduction note).

    Images (b, c, h, w) become two views (b, c, h // 2, w // 2); an odd last row or column is
    dropped. The pixels are drawn anew at every draw; a split keeps its own. The maximum
    of noise is biased: by 1.03 of its standard deviation on flat images.

    Args:
        pick: How to choose the pixel; the note's text and code disagree. `value` takes each with a
            probability proportional to its noisy value, per channel (stochastic pooling: Zeiler
            and Fergus, 2013), which favours bright noise. `spatial` takes one row of every two and
            one column of every two for all channels (S3Pool: Zhai et al., 2017): without bias.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    pick: Literal["value", "spatial"] = "value"

    leaks: ClassVar[bool] = True

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        require_cell(image, 2, "max-stochastic-pool")
        pick = _PICKS[self.pick](image, rng)
        return lambda image: (max_pool2d(image, 2), pick(image))


def _quarters(image: Tensor) -> Views:
    h, w = image.shape[-2:]
    whole = image[..., : h - h % 2, : w - w % 2]
    top, bottom = whole[..., 0::2, :], whole[..., 1::2, :]
    return top[..., 0::2], top[..., 1::2], bottom[..., 0::2], bottom[..., 1::2]


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the samplers of this file."""
    register("max-avg-pool", MaxAvgPool)
    register("avg-stochastic-pool", AvgStochasticPool)
    register("max-stochastic-pool", MaxStochasticPool)
