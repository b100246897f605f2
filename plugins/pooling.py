"""Pooling samplers: maximum, mean and one random pixel of every 2x2 cell, two of them at a time.

All of them leak: a pixel's noise reaches both views, so they break the assumption of Noise2Noise.
They are here because the reproduction note compared them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from n2n_ablate import Register, Split, Views, hookimpl, require_cell


@dataclass(frozen=True, eq=False)
class SpatialPick:
    """One row of every two and one column of every two; all channels share them.

    The sampling of S3Pool (Zhai et al., 2017).

    Attributes:
        lower: Whether the second row of the two is taken, on the CPU; (b or 1, 1, h // 2, 1).
        right: Whether the second column is; (b or 1, 1, 1, w // 2).
    """

    lower: Tensor
    right: Tensor

    @classmethod
    def draw(cls, image: Tensor, rng: torch.Generator) -> SpatialPick:
        """Draw for images like `image`."""
        h, w = image.shape[-2:]
        lower = torch.randint(2, (1, 1, h // 2, 1), generator=rng) == 1
        return cls(lower, torch.randint(2, (1, 1, 1, w // 2), generator=rng) == 1)

    @staticmethod
    def joined(picks: Sequence[SpatialPick]) -> SpatialPick:
        """Return what picks from image i like pick i."""
        return SpatialPick(
            torch.cat([each.lower for each in picks]), torch.cat([each.right for each in picks])
        )

    @cached_property
    def _places(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        return {}

    def __call__(self, image: Tensor) -> Tensor:
        """Return the pixels of images (b, c, h, w) as (b, c, h // 2, w // 2)."""
        places = self._places
        if image.device not in places:
            places[image.device] = self.lower.to(image.device), self.right.to(image.device)
        return _picked(image, *places[image.device])


@dataclass(frozen=True, eq=False)
class ValuePick:
    """A pixel per cell and channel, with a probability proportional to its value.

    Stochastic pooling of Zeiler and Fergus (2013). Values below 0 count as 0; in a cell without
    any positive value all four pixels are equally likely.

    Attributes:
        noisy: The images whose values count, (b or 1, c, h, w).
        uniform: A number for each cell and channel, on the CPU: so one seed gives one draw on every
            device. With 53 bits its product with a sum cannot round up to that sum and so hit a last
            pixel of weight 0.
    """

    noisy: Tensor
    uniform: Tensor

    @classmethod
    def draw(cls, image: Tensor, rng: torch.Generator) -> ValuePick:
        """Draw for an image (1, c, h, w)."""
        _, c, h, w = image.shape
        return cls(
            image.detach(), torch.rand(1, c, h // 2, w // 2, generator=rng, dtype=torch.float64)
        )

    @staticmethod
    def joined(picks: Sequence[ValuePick]) -> ValuePick:
        """Return what picks from image i like pick i."""
        noisy = torch.cat([each.noisy for each in picks])
        return ValuePick(noisy, torch.cat([each.uniform for each in picks]))

    @cached_property
    def _places(self) -> tuple[Tensor, Tensor]:
        weights = torch.stack(_quarters(self.noisy)).double().clamp(min=0)
        empty = weights.sum(dim=0) == 0
        q00, q01, q10, q11 = torch.where(empty, 1.0, weights)
        place = self.uniform.to(self.noisy.device) * (q00 + q01 + q10 + q11)
        lower = place >= q00 + q01
        return lower, torch.where(lower, place >= q00 + q01 + q10, place >= q00)

    def __call__(self, image: Tensor) -> Tensor:
        """Return the pixels of images (b, c, h, w) as (b, c, h // 2, w // 2)."""
        return _picked(image, *self._places)


_PICKS: Mapping[str, type[SpatialPick | ValuePick]] = {"value": ValuePick, "spatial": SpatialPick}


@dataclass(frozen=True, eq=False)
class PoolSplit:
    """A pooling of every 2x2 cell against one pixel of it.

    Attributes:
        pool: From images and the side of a cell to the first view.
        pick: Makes the second view.
    """

    pool: Callable[[Tensor, int], Tensor]
    pick: SpatialPick | ValuePick

    def __call__(self, image: Tensor) -> Views:
        """Cut images (b, c, h, w) into two views (b, c, h // 2, w // 2)."""
        return self.pool(image, 2), self.pick(image)

    @staticmethod
    def stacked(splits: Sequence[PoolSplit]) -> PoolSplit | None:
        """Return a split that cuts image i with split i; of one pooling and one kind of pick only."""
        pool, kind = splits[0].pool, type(splits[0].pick)
        if any(split.pool is not pool or type(split.pick) is not kind for split in splits):
            return None
        picks: Any = [split.pick for split in splits]
        return PoolSplit(pool, kind.joined(picks))


def _picked(image: Tensor, lower: Tensor, right: Tensor) -> Tensor:
    q00, q01, q10, q11 = _quarters(image)
    top = torch.where(right, q01, q00)
    bottom = torch.where(right, q11, q10)
    return torch.where(lower, bottom, top)


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
        return PoolSplit(avg_pool2d, _PICKS[self.pick].draw(image, rng))


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
        return PoolSplit(max_pool2d, _PICKS[self.pick].draw(image, rng))


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
