"""Impulse noise: some pixels are lost. Salt and pepper, and values drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from n2n_ablate import Range, Register, hookimpl


@dataclass(frozen=True)
class SaltAndPepper:
    """Some samples turn black, as many turn white (as in Ma et al., 2025).

    Not right on average: the mean is x + probability (1/2 - x). Each channel of a pixel is hit by
    itself.

    Args:
        probability: Share of the samples that are hit; half of them turn black, half white.
    """

    probability: Annotated[float, Range(0, 1)] = 0.1

    unbiased: ClassVar[bool] = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        chance = torch.rand(clean.shape, generator=rng)
        half = self.probability / 2
        pepper = torch.where(chance < half, 0.0, clean)
        return torch.where(chance >= 1 - half, 1.0, pepper)


@dataclass(frozen=True)
class RandomImpulse:
    """Some samples are replaced by a value drawn evenly from 0 to 1 (as in Ma et al., 2025).

    Not right on average: the mean is x + probability (1/2 - x). Each channel of a pixel is hit by
    itself.

    Args:
        probability: Share of the samples that are hit.
    """

    probability: Annotated[float, Range(0, 1)] = 0.1

    unbiased: ClassVar[bool] = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        hit = torch.rand(clean.shape, generator=rng) < self.probability
        return torch.where(hit, torch.rand(clean.shape, generator=rng), clean)


@hookimpl
def register_noises(register: Register) -> None:
    """Register the noises of this file."""
    register("salt-and-pepper", SaltAndPepper)
    register("random-impulse", RandomImpulse)
