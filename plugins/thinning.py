"""Poisson thinning: the photons of every pixel dealt to two views. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from n2n_ablate import Noise, ParameterError, Range, Register, Split, hookimpl
from n2n_ablate_plugins.noises import Poisson


@dataclass(frozen=True)
class PoissonThinning:
    """Every photon goes to the first or the second view by chance (binomial thinning).

    Of k photons the first view gets n ~ Binomial(k, share). For Poisson noise the two counts are
    independent, so views of full size, n / (share lam) and (k - n) / ((1 - share) lam), have
    the clean image as their mean and independent noise, of standard deviation s / sqrt(share) and
    s / sqrt(1 - share). It holds for Poisson noise alone, unclipped. Cutting a denoised
    image has no meaning: there is no consistency loss. For Poisson noise it is what recorruption
    is for Gaussian noise (Monroy et al., 2025).

    Args:
        share: How likely a photon goes to the first view.
        lam: Photons of a white pixel. 0 takes them from the noise model, which must be `poisson`
            without `clip`; a real image needs the number.

    Raises:
        ParameterError: `prepare` was given no `lam` and no Poisson noise.
    """

    share: Annotated[float, Range(0.1, 0.9)] = 0.5
    lam: Annotated[float, Range(0, 10000)] = 0.0

    supports_consistency: ClassVar[bool] = False
    preserves_mean: ClassVar[bool] = False

    @property
    def required_noise(self) -> Noise:
        """See `n2n_ablate.Sampler`."""
        return Poisson(lam=self.lam or 100.0)

    def prepare(self, noisy: Tensor, noise: Noise | None) -> Counted:
        """See `n2n_ablate.Sampler`."""
        lam = self.lam
        if not lam and isinstance(noise, Poisson) and not noise.clip:
            lam = noise.lam
        if not lam:
            given = "a real image" if noise is None else repr(noise)
            msg = (
                f"sampler 'poisson-thinning' needs unclipped Poisson noise, got {given}. "
                "Give its parameter lam, the photons of a white pixel."
            )
            raise ParameterError(msg)
        photons = (noisy.detach().double() * lam).round().clamp(min=0).cpu()
        return Counted(self.share, photons)

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. Without `lam` it works on what `prepare` returns."""
        prepared = self.prepare(image, None)
        return prepared.draw(image, rng)


@dataclass(frozen=True, eq=False)
class Counted:
    """Thinning of one image whose photons are counted.

    Attributes:
        share: See `PoissonThinning`.
        photons: Whole numbers, float64 (1, c, h, w), on the CPU.
    """

    share: float
    photons: Tensor = field(repr=False)

    supports_consistency: ClassVar[bool] = False

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`."""
        share = torch.full_like(self.photons, self.share)
        first = torch.binomial(self.photons, share, generator=rng)
        # As factors of the image, so that the split can be applied again; 0 photons stay 0.
        part = torch.where(self.photons > 0, first / self.photons.clamp(min=1), self.share)
        one = (part / self.share).to(image)
        other = ((1 - part) / (1 - self.share)).to(image)
        return lambda image: (image * one, image * other)


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the sampler of this file."""
    register("poisson-thinning", PoissonThinning)
