"""What is measured on, and what comes out: plain records. Nothing here measures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_TAIL = 0.00135  # of a normal distribution beyond three standard errors, on one side
GREY = 255.0
"""Grey levels from black to white."""


@dataclass(frozen=True, eq=False)
class Probe:
    """An image to measure on."""

    name: str  # of the image; two probes of one name see the same noise
    clean: Tensor  # shape (1, c, h, w), 0 for black and 1 for white
    # noisy versions that are there already, same shape, used before new ones are drawn
    noisy: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A figure with its Monte Carlo error."""

    value: float  # the figure; NaN if it has no meaning, e.g. without any noise.
    error: float = math.inf  # standard error, infinite if it cannot be estimated
    freedom: int = 0  # degrees of freedom of the standard error

    def is_clear(self, least: float) -> bool:
        """Say whether the figure is at least this large, of either sign, and certainly not 0.

        Certainly: by a t test with the error rate of three standard errors, 0.3 %.
        """
        if not (abs(self.value) >= least and math.isfinite(self.error) and self.freedom):
            return False
        from scipy.special import stdtrit  # late: whoever only measures need not wait for scipy

        return bool(abs(self.value) > -stdtrit(self.freedom, _TAIL) * self.error)


@dataclass(frozen=True)
class Figures:
    """What was measured on one image, or on all of them. With many views: means over the pairs."""

    sigma: float  # standard deviation of the noise, in grey levels (0-255)
    # how much brighter the first and the second view get in a brighter image; 1 is right, NaN for
    # samplers that cannot cut a clean image
    gain: tuple[float, float]
    bias: Estimate  # mean of first minus second view, E[D1 y - D2 y], in grey levels
    noise: tuple[Estimate, Estimate]  # sd(D_i e) / sigma of the first and of the second view
    # cov(D1 e, D2 e) / var(D1 e): how much of the first view's noise is in the second
    leak: Estimate
    back: Estimate  # cov(D1 e, D2 e) / var(D2 e): the other way
    gap: Estimate  # RMS(D1 x - D2 x) in grey levels: how far the views of the clean image are apart

    @property
    def gap_psnr(self) -> float:
        """The gap as the PSNR in dB of one clean view taken for the other; infinite for no gap."""
        return math.inf if self.gap.value == 0 else -20 * math.log10(self.gap.value / GREY)


@dataclass(frozen=True)
class Diagnosis:
    """What was measured of one sampler under one noise."""

    total: Figures  # over all images, each with the same weight
    images: dict[str, Figures] = field(default_factory=dict)  # by name
    declared: bool = False  # True if the sampler says that its views share noise (`leaks`)
    both_ways: bool = True  # False if the second view is never trained to predict the first
    supports_consistency: bool = True  # see `Sampler`
    draws: int = 0  # how many noisy images were cut for each clean one
