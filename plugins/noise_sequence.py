"""Several noise models, one after the other. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from n2n_ablate import Component, Noise, ParameterError, Register, hookimpl
from n2n_ablate_plugins.noises import Gaussian, Poisson


@dataclass(frozen=True)
class Sequence:
    """Several noise models, each applied to what the one before it gave (this project).

    All draw from one stream of random numbers, in order. Photon noise takes no negative values, so
    it comes before noise that makes some.

    Args:
        noises: Which, in order. In a study file a list of names and tables, for instance
            `noises = [{ name = "poisson", lam = 25.0 }, { name = "gaussian", sigma = 5.0 }]`.

    Raises:
        ParameterError: The list is empty.
    """

    noises: Annotated[tuple[Noise, ...], Component("noise")] = (
        Poisson(),
        Gaussian(sigma=5.0, clip=False),
    )

    def __post_init__(self) -> None:
        if not self.noises:
            msg = "a sequence needs at least one noise, e.g. noises = ['poisson', 'gaussian']"
            raise ParameterError(msg)

    @property
    def unbiased(self) -> bool:
        """False if one of the noises is not right on average."""
        return all(_is_unbiased(noise) for noise in self.noises)

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        noisy = clean
        for noise in self.noises:
            noisy = noise.apply(noisy, rng)
        return noisy


def _is_unbiased(noise: Noise) -> bool:
    return bool(getattr(noise, "unbiased", not getattr(noise, "clip", False)))


@hookimpl
def register_noises(register: Register) -> None:
    """Register the noise of this file."""
    register("sequence", Sequence)
