"""Stein's unbiased risk estimate by Monte Carlo: the error against the clean image, without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from n2n_ablate import (
    LossContext,
    MeasuredNoise,
    Noise,
    ParameterError,
    Range,
    Register,
    hookimpl,
    mse,
)
from n2n_ablate_plugins.noises import Gaussian
from n2n_ablate_plugins.truth_free import noise_level


@dataclass(frozen=True)
class Sure:
    """Stein's unbiased risk estimate of a denoiser, by Monte Carlo (Ramani et al., 2008).

    With y the noisy image, x = f(y) the denoised one, s the noise's standard deviation and b fresh
    standard normal numbers at every step::

        |x - y|^2 - s^2 + 2 s^2 <b (f(y + t b) - x)> / t

    where |.|^2 and <.> are means over pixels and channels. Its mean is |x - clean|^2, for white
    Gaussian noise; clipping spoils it a little. It works on the whole image, so any sampler will do.

    Args:
        sigma: Standard deviation of the noise on the 0-255 scale. 0 takes it from `level`.
        level: `declared` takes it from the noise model, which must be `gaussian`; `estimated` from
            the noisy image (median of the finest diagonal Haar details: Donoho and Johnstone, 1994).
        step: The t above.

    Raises:
        ParameterError: There is no `sigma`, and no Gaussian noise to take it from.
    """

    sigma: Annotated[float, Range(0, 255)] = 0.0
    level: Literal["declared", "estimated"] = "declared"
    step: Annotated[float, Range(1e-4, 0.1, log=True)] = 0.01

    @property
    def required_noise(self) -> Noise:
        """See `n2n_ablate.Loss`."""
        return Gaussian(sigma=self.sigma or 25.0, clip=False)

    def __call__(self, context: LossContext) -> Tensor:
        """Return the estimate of each fit, shape (b,)."""
        y = context.noisy
        variance = self._levels(context).square()
        probe = context.rng.randn(*y.shape[1:])
        x, moved = context.denoise(y, y + self.step * probe)
        divergence = (probe * (moved - x)).mean(dim=(1, 2, 3)) / self.step
        return mse(x, y) - variance + 2 * variance * divergence

    def _levels(self, context: LossContext) -> Tensor:
        if not self.sigma and self.level == "estimated":
            return noise_level(context.noisy)
        levels = [self.sigma or _declared(noise) for noise in context.noises]
        return torch.tensor(levels, device=context.noisy.device) / 255


def _declared(noise: Noise | MeasuredNoise | None) -> float:
    if isinstance(noise, Gaussian) and noise.sigma:
        return noise.sigma
    given = "a real image" if noise is None else repr(noise)
    msg = (
        f"loss 'sure' needs Gaussian noise of known strength, got {given}. Give its parameter sigma, "
        "the standard deviation on the 0-255 scale, or level=estimated"
    )
    raise ParameterError(msg)


@hookimpl
def register_losses(register: Register) -> None:
    """Register the loss of this file."""
    register("sure", Sure)
