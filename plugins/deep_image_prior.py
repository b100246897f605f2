"""Deep image prior: a network makes the noisy image from random numbers, and is stopped in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from n2n_ablate import Pairs, Range, Register, Split, Views, hookimpl


@dataclass(frozen=True)
class DeepImagePrior:
    """The network gets random numbers and has to make the noisy image (Ulyanov et al., 2018).

    Nothing is hidden: a network fits structure before it fits noise, so the result depends on when
    training stops. The estimator `windowed-variance` (Wang et al., 2023) chooses the step without a
    clean image. To be used with the loss `residual` and a backbone that is not residual, `unet` with
    several `scales` for instance. The numbers have the channels of the image, where the paper has 32,
    and are not disturbed during training.

    Args:
        scale: The numbers are uniform from 0 to this, the same during a whole fit.
    """

    scale: Annotated[float, Range(0.001, 1)] = 0.1

    drawn_once: ClassVar[bool] = True
    replaces_input: ClassVar[bool] = True
    supports_consistency: ClassVar[bool] = False
    preserves_mean: ClassVar[bool] = False
    pairs: ClassVar[Pairs] = ((0, 1),)

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        return Coded((self.scale * torch.rand(image.shape, generator=rng)).to(image))


@dataclass(frozen=True, eq=False)
class Coded:
    """Random numbers beside an image.

    Attributes:
        code: The numbers, (b, c, h, w).
    """

    code: Tensor = field(repr=False)

    def __call__(self, image: Tensor) -> Views:
        """Return the numbers and the images (b, c, h, w)."""
        return self.code.expand_as(image), image

    @staticmethod
    def stacked(splits: Sequence[Coded]) -> Split:
        """Return a split that has the numbers of split i beside image i."""
        return Coded(torch.cat([split.code for split in splits]))


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("deep-image-prior", DeepImagePrior)
