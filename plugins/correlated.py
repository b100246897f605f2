"""Noise that neighbours share: blurred Gaussian noise, and stripes along rows or columns.

These break the independence that pair samplers rest on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from n2n_ablate import Range, Register, hookimpl


@dataclass(frozen=True)
class CorrelatedGaussian:
    """Gaussian noise blurred in space, as demosaicking and compression do (this project).

    White noise is blurred with a Gaussian window, cut off at four times its width, and scaled back
    to its old strength: every sample has standard deviation sigma, and the correlation of two
    samples d pixels apart is close to exp(-d^2 / (4 blur^2)). Channels are independent.

    Args:
        sigma: Standard deviation on the 0-255 scale, after blurring.
        blur: Width (standard deviation) of the window in pixels; 0 gives white noise.
        clip: Cut the noisy image to 0..1, which biases dark and bright regions.
    """

    sigma: Annotated[float, Range(0, 255)] = 25.0
    blur: Annotated[float, Range(0, 10)] = 0.8
    clip: bool = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        b, c, h, w = clean.shape
        window = _window(self.blur)
        more = len(window) - 1
        white = torch.randn((b * c, 1, h + more, w + more), generator=rng)
        once = conv2d(white, window.view(1, 1, -1, 1))
        blurred = conv2d(once, window.view(1, 1, 1, -1)).view(b, c, h, w)
        noisy = clean + self.sigma / 255 * blurred
        return noisy.clamp(0, 1) if self.clip else noisy


@dataclass(frozen=True)
class Stripes:
    """One Gaussian offset for every row or column, and white Gaussian noise over it (this project).

    As sensors with one amplifier per row or column have. All channels share the offsets.

    Args:
        axis: `rows`: all pixels of a row share their offset; `columns`: all of a column.
        sigma: Standard deviation of the offsets on the 0-255 scale.
        white: Standard deviation of the white noise on the 0-255 scale.
        clip: Cut the noisy image to 0..1, which biases dark and bright regions.
    """

    axis: Literal["rows", "columns"] = "rows"
    sigma: Annotated[float, Range(0, 255)] = 10.0
    white: Annotated[float, Range(0, 255)] = 10.0
    clip: bool = False

    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """See `n2n_ablate.Noise.apply`."""
        b, _, h, w = clean.shape
        shape = (b, 1, h, 1) if self.axis == "rows" else (b, 1, 1, w)
        offsets = self.sigma / 255 * torch.randn(shape, generator=rng)
        noisy = clean + offsets + self.white / 255 * torch.randn(clean.shape, generator=rng)
        return noisy.clamp(0, 1) if self.clip else noisy


def _window(blur: float) -> Tensor:
    """Return a Gaussian window whose squares add up to 1: white noise keeps its strength."""
    if blur == 0:
        return torch.ones(1)
    reach = max(1, round(4 * blur))
    place = torch.arange(-reach, reach + 1, dtype=torch.float64)
    bell = torch.exp(-(place**2) / (2 * blur**2))
    return (bell / bell.square().sum().sqrt()).float()


@hookimpl
def register_noises(register: Register) -> None:
    """Register the noises of this file."""
    register("correlated-gaussian", CorrelatedGaussian)
    register("stripes", Stripes)
