"""What is measured on, what comes out, and what of it breaks the assumption of Noise2Noise. Nothing here measures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
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


LEAK, BIAS, GAIN = 0.01, 1.0, 0.01
"""What matters: a leak of a hundredth, a bias of one grey level, a gain off by a hundredth. Below
the first two, a fit at 30 dB (an error of 8 grey levels) loses less than 0.1 dB to them directly."""


class Concern(StrEnum):
    """Something about a sampler that a reader should know."""

    LEAK = "leak"
    """Noise of one view is in the other."""
    BIAS = "bias"
    """The views differ in their mean."""
    GAIN = "gain"
    """A view is brighter or darker than the image."""
    DECLARED_LEAK_NOT_SEEN = "declared_leak_not_seen"
    """A leak is declared, but not measured beyond error."""
    NO_NOISE = "no_noise"
    """Without noise, leak and view noise have no meaning."""
    NOT_FINITE = "not_finite"
    """A view holds values that are no numbers."""


WARNINGS = (Concern.LEAK, Concern.BIAS, Concern.GAIN)
"""The concerns that are warnings; the others are remarks."""


def clear_leak(figures: Figures, *, both_ways: bool = True) -> float:
    """Return the leak of the largest size among the ways that train, 0 if none is clear."""
    ways = (figures.leak, figures.back) if both_ways else (figures.leak,)
    clear = [way.value for way in ways if way.is_clear(LEAK)]
    return max(clear, key=abs, default=0.0)


def wrong_gain(figures: Figures) -> float:
    """Return the gain that is farthest from 1."""
    return max(figures.gain, key=lambda gain: abs(gain - 1) if math.isfinite(gain) else 0.0)


def concerns(diagnosis: Diagnosis) -> list[Concern]:
    """Return what breaks the assumption, beyond Monte Carlo error and by enough to matter."""
    total = diagnosis.total
    if not total.sigma > 0:
        return [Concern.NO_NOISE]
    if not all(math.isfinite(noise.value) for noise in total.noise):
        return [Concern.NOT_FINITE]
    known = []
    if clear_leak(total, both_ways=diagnosis.both_ways):
        known.append(Concern.LEAK)
    elif diagnosis.declared:
        known.append(Concern.DECLARED_LEAK_NOT_SEEN)
    if total.bias.is_clear(BIAS):
        known.append(Concern.BIAS)
    if abs(wrong_gain(total) - 1) > GAIN:
        known.append(Concern.GAIN)
    return known


def warnings(diagnosis: Diagnosis) -> list[Concern]:
    """Return the concerns that are warnings."""
    return [concern for concern in concerns(diagnosis) if concern in WARNINGS]


def to_json(diagnosis: Diagnosis) -> dict[str, object]:
    """Return everything as plain data."""
    return {
        **_figures_json(diagnosis.total),
        "declares_leak": diagnosis.declared,
        "both_ways": diagnosis.both_ways,
        "noisy_images": diagnosis.draws,
        "concerns": [concern.value for concern in concerns(diagnosis)],
        "images": {name: _figures_json(figures) for name, figures in diagnosis.images.items()},
    }


def flat(figures: Figures) -> dict[str, float]:
    """Return the figures by the names that trackers and files give them."""
    return {
        "leak": figures.leak.value,
        "leak_error": figures.leak.error,
        "leak_back": figures.back.value,
        "leak_back_error": figures.back.error,
        "gap": figures.gap.value,
        "bias": figures.bias.value,
        "bias_error": figures.bias.error,
        "view_noise_1": figures.noise[0].value,
        "view_noise_2": figures.noise[1].value,
        "gain_1": figures.gain[0],
        "gain_2": figures.gain[1],
        "sigma": figures.sigma,
    }


def _figures_json(figures: Figures) -> dict[str, object]:
    numbers: dict[str, object] = {name: _finite(value) for name, value in flat(figures).items()}
    return numbers | {
        "gap_error": _finite(figures.gap.error),
        "gap_psnr": _finite(figures.gap_psnr),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
