"""Noise models of sensors and of coherent light: Poisson-Gaussian, speckle, gamma, uniform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from n2n_ablate import Range, Register, hookimpl


@dataclass(frozen=True)
class PoissonGaussian:
    """Photon noise and the noise of reading it out, y = g Poisson(x / g) + s n (Foi et al., 2008).

    The mean is the clean image x, the variance g x + s^2.

    Args:
        gain: Brightness of one photon, with white at 1: 0.04 is 25 photons at white. 0 leaves the
            Gaussian part alone.
        sigma: Standard deviation of the Gaussian part on the 0-255 scale.
        clip: Cut the noisy image to 0..1, which biases dark and bright regions.
    """

    gain: Annotated[float, Range(0, 1)] = 0.04
    sigma: Annotated[float, Range(0, 255)] = 5.0
    clip: bool = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        light = torch.poisson(clean / self.gain, generator=rng) * self.gain if self.gain else clean
        noisy = light + self.sigma / 255 * torch.randn(clean.shape, generator=rng)
        return noisy.clamp(0, 1) if self.clip else noisy


@dataclass(frozen=True)
class Speckle:
    """Gaussian noise that grows with brightness, y = x (1 + s n) (this project).

    The mean is the clean image x, the standard deviation s x.

    Args:
        strength: Standard deviation of the noise at white, with white at 1.
        clip: Cut the noisy image to 0..1, which biases bright regions.
    """

    strength: Annotated[float, Range(0, 1)] = 0.2
    clip: bool = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        noisy = clean * (1 + self.strength * torch.randn(clean.shape, generator=rng))
        return noisy.clamp(0, 1) if self.clip else noisy


@dataclass(frozen=True)
class Gamma:
    """Speckle of coherent light after averaging, y = x G with G ~ Gamma(L, 1 / L) (Goodman, 1976).

    The mean is the clean image x, the standard deviation x / sqrt(L). Never negative.

    Args:
        looks: L, how many images were averaged; fewer are noisier.
        clip: Cut the noisy image to 0..1, which biases bright regions.
    """

    looks: Annotated[int, Range(1, 100)] = 10
    clip: bool = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        total = torch.zeros_like(clean)
        for _ in range(self.looks):  # a sum of L exponentials is a gamma variable of shape L
            total += torch.empty_like(clean).exponential_(generator=rng)
        noisy = clean * total / self.looks
        return noisy.clamp(0, 1) if self.clip else noisy


@dataclass(frozen=True)
class Uniform:
    """White noise, equally likely between two bounds, y = x + u with u in -a..a.

    The mean is the clean image x, the standard deviation a / sqrt(3). As in the library deepinv
    (github.com/deepinv/deepinv).

    Args:
        bound: a, on the 0-255 scale.
        clip: Cut the noisy image to 0..1, which biases dark and bright regions.
    """

    bound: Annotated[float, Range(0, 255)] = 25.5
    clip: bool = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        noisy = clean + self.bound / 255 * (2 * torch.rand(clean.shape, generator=rng) - 1)
        return noisy.clamp(0, 1) if self.clip else noisy


@hookimpl
def register_noises(register: Register) -> None:
    """Register the noises of this file."""
    register("poisson-gaussian", PoissonGaussian)
    register("speckle", Speckle)
    register("gamma", Gamma)
    register("uniform", Uniform)
