"""Recorrupted-to-recorrupted: fresh noise makes two views of a Gaussian image. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from n2n_ablate import Noise, Pairs, ParameterError, Range, Register, Split, hookimpl
from n2n_ablate_plugins.noises import Gaussian


@dataclass(frozen=True)
class Recorruption:
    """More noise for the input, its opposite for the target (R2R: Pang et al., 2021).

    With y the noisy image, a = `alpha` and w fresh white Gaussian noise as strong as that of y::

        first  = y + sqrt(a / (1 - a)) w
        second = (y - (1 - a) first) / a = y - sqrt((1 - a) / a) w

    For Gaussian noise of known standard deviation s both have full size, the clean image as mean,
    and independent noise, of standard deviation s / sqrt(1 - a) and s / sqrt(a). It holds for white
    Gaussian noise alone; clipping spoils it a little. The first view is trained to predict
    the second. Cutting a denoised image has no meaning: there is no consistency loss. The form
    with one parameter and its default are those of deepinv, after Monroy et al. (2025).

    Args:
        alpha: Share of the noise's variance that the target keeps for itself; small values add
            little noise to the input and much to the target.
        sigma: Standard deviation of the noise on the 0-255 scale. 0 takes it from the noise model,
            which must be `gaussian`; a real image needs the number.

    Raises:
        ParameterError: `prepare` was given no `sigma` and no Gaussian noise.
    """

    alpha: Annotated[float, Range(0.01, 0.99)] = 0.15
    sigma: Annotated[float, Range(0, 255)] = 0.0

    supports_consistency: ClassVar[bool] = False
    preserves_mean: ClassVar[bool] = False
    pairs: ClassVar[Pairs] = ((0, 1),)

    @property
    def required_noise(self) -> Noise:
        """See `n2n_ablate.Sampler`."""
        return Gaussian(sigma=self.sigma or 25.0, clip=False)

    def prepare(self, noisy: Tensor, noise: Noise | None) -> Recorruption:
        """See `n2n_ablate.Sampler`."""
        if self.sigma:
            return self
        if isinstance(noise, Gaussian) and noise.sigma:
            return Recorruption(self.alpha, noise.sigma)
        given = "a real image" if noise is None else repr(noise)
        msg = (
            f"sampler 'recorruption' needs Gaussian noise of known strength, got {given}. "
            "Give its parameter sigma, the standard deviation on the 0-255 scale."
        )
        raise ParameterError(msg)

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. Without `sigma` it works on what `prepare` returns."""
        std = self.prepare(image, None).sigma / 255
        fresh = (std * torch.randn(image.shape, generator=rng)).to(image)
        ratio = (self.alpha / (1 - self.alpha)) ** 0.5
        return lambda image: (image + ratio * fresh, image - fresh / ratio)


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("recorruption", Recorruption)
