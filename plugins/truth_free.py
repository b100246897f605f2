"""Metrics that need no clean image: what is left in the residual, noisy minus denoised.

None of them replaces PSNR: doing nothing leaves no residual at all, and a perfect score in one says
nothing about the others. Read them together.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from n2n_ablate import Range, Register, hookimpl


@dataclass(frozen=True)
class ResidualWhiteness:
    """Largest correlation of the residual with itself, shifted by a few pixels; 0 is white.

    White noise has none; lost detail and left-over structure do. For noise that is itself
    correlated the right value is that of the noise. A residual without any variation gives 1.
    After the whiteness tests of signal processing (Box and Jenkins, 1970).

    Args:
        lags: Largest shift in pixels, each way.
    """

    lags: Annotated[int, Range(1, 16)] = 3

    higher_is_better: ClassVar[bool] = False
    full_reference: ClassVar[bool] = False
    unit: ClassVar[str] = ""

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`; the clean image is not looked at."""
        residual = _centred(noisy - denoised)
        variance = residual.square().mean(dim=(1, 2, 3))
        h, w = residual.shape[-2:]
        found = []
        shifts = itertools.product(range(self.lags + 1), range(-self.lags, self.lags + 1))
        for down, right in shifts:
            # The other half of the plane is its mirror image.
            if (down, right) <= (0, 0) or down >= h or abs(right) >= w:
                continue
            left = max(0, -right)
            here = residual[..., : h - down, left : w - max(0, right)]
            there = residual[..., down:, left + right : w - left + min(0, right) + left]
            found.append((here * there).mean(dim=(1, 2, 3)) / variance)
        correlation = torch.stack(found).abs().amax(dim=0) if found else torch.ones_like(variance)
        return torch.where(variance > 1e-12, correlation, 1.0).float()


@dataclass(frozen=True)
class ResidualSignal:
    """Correlation of the residual with the denoised image, without its sign; 0 is best.

    A residual that goes with the image holds some of it: contrast was lost, or noise was left in.
    Noise that depends on the signal is uncorrelated with it too. A residual or an image without
    any variation gives 1. A number for what is looked for in the method noise of Buades et al.
    (2005).
    """

    higher_is_better: ClassVar[bool] = False
    full_reference: ClassVar[bool] = False
    unit: ClassVar[str] = ""

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`; the clean image is not looked at."""
        residual, image = _centred(noisy - denoised), _centred(denoised)
        both = (residual * image).mean(dim=(1, 2, 3))
        spread = residual.square().mean(dim=(1, 2, 3)) * image.square().mean(dim=(1, 2, 3))
        return torch.where(spread > 1e-20, both.abs() / spread.sqrt(), 1.0).float()


@dataclass(frozen=True)
class NoiseLevelError:
    """How far the strength of the residual is from that of the noise, as a share of it; 0 is best.

    |std(noisy - denoised) / sigma - 1|. Too weak a residual left noise in the image, too strong a one
    took detail along; `level-ratio` says which.

    Args:
        sigma: Standard deviation of the noise on the 0-255 scale. 0 estimates it from the noisy
            image, which is right for white noise: the median of the finest diagonal Haar details
            (Donoho and Johnstone, 1994).
    """

    sigma: Annotated[float, Range(0, 255)] = 0.0

    higher_is_better: ClassVar[bool] = False
    full_reference: ClassVar[bool] = False
    unit: ClassVar[str] = ""

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`; the clean image is not looked at."""
        return (_ratio(denoised, noisy, self.sigma) - 1).abs().float()


@dataclass(frozen=True)
class NoiseLevelRatio:
    """Strength of the residual as a multiple of that of the noise; 1 is right (this project).

    std(noisy - denoised) / sigma. Below 1 noise was left in the image, above 1 detail went along
    with it. How far it is from 1 is `level-error`.

    Args:
        sigma: Standard deviation of the noise on the 0-255 scale. 0 estimates it from the noisy
            image, which is right for white noise: the median of the finest diagonal Haar details
            (Donoho and Johnstone, 1994).
    """

    sigma: Annotated[float, Range(0, 255)] = 0.0

    higher_is_better: ClassVar[bool] = False
    full_reference: ClassVar[bool] = False
    unit: ClassVar[str] = ""

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`; the clean image is not looked at."""
        return _ratio(denoised, noisy, self.sigma).float()


def _ratio(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    level = torch.full_like(noisy[:, 0, 0, 0], sigma / 255).double()
    if not sigma:
        level = noise_level(noisy.double())
    left = _centred(noisy - denoised).square().mean(dim=(1, 2, 3)).sqrt()
    return left / level.clamp(min=1e-6)


def _centred(image: Tensor) -> Tensor:
    exact = image.double()
    return exact - exact.mean(dim=(2, 3), keepdim=True)


def noise_level(noisy: Tensor) -> Tensor:
    """Estimate the standard deviation of white noise in images (b, c, h, w): (b,)."""
    h, w = (side - side % 2 for side in noisy.shape[-2:])
    rows = noisy[..., 0:h:2, :w] - noisy[..., 1:h:2, :w]
    details = (rows[..., 0::2] - rows[..., 1::2]) / 2
    return details.abs().flatten(1).median(dim=1).values / 0.6745


@hookimpl
def register_metrics(register: Register) -> None:
    """Register the metrics of this file."""
    register("whiteness", ResidualWhiteness)
    register("signal-left", ResidualSignal)
    register("level-error", NoiseLevelError)
    register("level-ratio", NoiseLevelRatio)
