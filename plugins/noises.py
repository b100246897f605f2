"""Noise models: Gaussian and Poisson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from n2n_ablate import Range, Register, hookimpl


@dataclass(frozen=True)
class Gaussian:
    """White Gaussian noise of one strength everywhere (as in Mansour and Heckel, 2023).

    Args:
        sigma: Standard deviation on the 0-255 scale.
        clip: Cut the noisy image to 0..1, as the paper's code does. It raises the PSNR of the noisy
            image and biases dark and bright regions.
    """

    sigma: Annotated[float, Range(0, 255)] = 25.0
    clip: bool = True

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        std = self.sigma / 255  # images live in 0..1
        noisy = clean + std * torch.randn(clean.shape, generator=rng, dtype=clean.dtype)
        return noisy.clamp(0, 1) if self.clip else noisy


@dataclass(frozen=True)
class Poisson:
    """Photon noise, y = Poisson(lam x) / lam, stronger where it is bright (Mansour and Heckel, 2023).

    The mean is the clean image x, the variance x / lam.

    Args:
        lam: Photons that a white pixel receives on average; fewer are noisier.
        clip: Cut the noisy image to 0..1. The paper's code does not.
    """

    lam: Annotated[float, Range(0.1, 10000)] = 25.0
    clip: bool = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        noisy = torch.poisson(self.lam * clean, generator=rng) / self.lam
        return noisy.clamp(0, 1) if self.clip else noisy


@hookimpl
def register_noises(register: Register) -> None:
    """Register the noises of this file."""
    register("gaussian", Gaussian)
    register("poisson", Poisson)
