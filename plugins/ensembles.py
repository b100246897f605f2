"""Ensembles: means of many passes through one network that are random, by masks or by dropout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from n2n_ablate import ParameterError, Range, Register, Split, hookimpl, mask_of


@dataclass(frozen=True)
class DropoutEnsemble:
    """Mean of passes with other dropout in each (after Gal and Ghahramani, 2016).

    Without dropout in the network all passes are equal.

    Args:
        passes: How many.
    """

    passes: Annotated[int, Range(1, 200)] = 50

    dropout: ClassVar[bool] = True

    def averaging_weight(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.averaging_weight`."""
        return 1.0

    def estimate(self, denoise: Split, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        total = torch.zeros_like(noisy)
        for _ in range(self.passes):
            total += denoise(noisy)[0]
        return total / self.passes


@dataclass(frozen=True)
class MaskedEnsemble:
    """Mean of passes over the image with other pixels hidden in each (Self2Self: Quan et al., 2020).

    It needs a sampler that hides pixels, and hides them as in training. MASH (Chihaoui and Favaro, 2024)
    takes its result in the same way.

    Args:
        passes: How many.
        pixels: `all` takes the whole result of every pass; `hidden` each pixel from those passes
            alone that hid it, so that its noise does not reach it (Batson and Royer, 2019). A pixel
            that none hid has the mean of all.
        dropout: Keep the network's dropout on, as in Self2Self.

    Raises:
        ParameterError: The sampler hides no pixel.
    """

    passes: Annotated[int, Range(1, 200)] = 50
    pixels: Literal["all", "hidden"] = "all"
    dropout: bool = True

    def averaging_weight(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.averaging_weight`."""
        return 1.0

    def estimate(self, denoise: Split, noisy: Tensor, *, draw: Callable[[Tensor], Split]) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        total, hidden = torch.zeros_like(noisy), torch.zeros_like(noisy)
        count = torch.zeros_like(noisy[:, :1])
        for _ in range(self.passes):
            split = draw(noisy)
            mask = mask_of(split)
            if mask is None:
                msg = "estimator 'masked-ensemble' needs a sampler that hides pixels, such as noise2self"
                raise ParameterError(msg)
            denoised = denoise(split(noisy)[0])[0]
            total += denoised
            hidden += torch.where(mask, denoised, 0.0)
            count += mask
        mean = total / self.passes
        return (
            mean
            if self.pixels == "all"
            else torch.where(count > 0, hidden / count.clamp(min=1), mean)
        )


@hookimpl
def register_estimators(register: Register) -> None:
    """Register the estimators of this file."""
    register("dropout-ensemble", DropoutEnsemble)
    register("masked-ensemble", MaskedEnsemble)
