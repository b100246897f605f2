"""Metrics that compare with the clean image: PSNR and SSIM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from n2n_ablate import Register, hookimpl, mse


@dataclass(frozen=True)
class Psnr:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / MSE), at most 100.

    The error is the mean over all pixels and channels, in floating point, of the denoised image
    clamped to 0..1: no rounding to 8 bits, no range taken from the data, as in the code of Mansour
    and Heckel (2023). Identical images would give infinity, which no mean survives: the value
    stops at 100 dB.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "dB"

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`."""
        error = mse(denoised.float().clamp(0, 1), clean.float())
        return (-10 * torch.log10(error)).clamp(max=100)


_PART = 2**17  # pixels


@dataclass(frozen=True)
class Ssim:
    """Structural similarity with the Gaussian window, 1 for identical images (Wang et al., 2004).

    Window of 11x11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, data range 1, population covariance;
    the mean over channels and over all places where the window fits. The denoised image is clamped
    to 0..1. On images with fewer than 11 rows or columns the window is the largest odd one that
    fits.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    convention: ClassVar[str] = (
        "Gaussian window of 11x11 pixels, sigma 1.5, K1 0.01, K2 0.03, data range 1, population "
        "covariance, mean over channels"
    )

    def measure(self, denoised: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Metric.measure`."""
        # Variances come as differences of means: double precision leaves nothing to cancel.
        x, y = denoised.double().clamp(0, 1), clean.double()
        mean_x, mean_y, squares, xy = _local_means(torch.stack([x, y, x * x + y * y, x * y]))
        c1, c2 = 0.01**2, 0.03**2
        product, of_means = mean_x * mean_y, mean_x**2 + mean_y**2
        luminance = (2 * product + c1) / (of_means + c1)
        structure = (2 * (xy - product) + c2) / (squares - of_means + c2)
        similarity: Tensor = luminance * structure
        return similarity.mean(dim=(1, 2, 3)).float()


def _local_means(images: Tensor) -> Tensor:
    h, w = images.shape[-2:]
    size = min(11, h - (h + 1) % 2, w - (w + 1) % 2)
    bell = [math.exp(-((place - size // 2) ** 2) / (2 * 1.5**2)) for place in range(size)]
    weights = [value / sum(bell) for value in bell]
    # A part at a time, so that what the sums go through stays in the caches: half the time.
    parts = images.flatten(0, -3).split(max(1, _PART // (h * w)))
    means = [_slide(_slide(part, weights, -2), weights, -1) for part in parts]
    return torch.cat(means).unflatten(0, images.shape[:-2])


def _slide(images: Tensor, weights: list[float], dim: int) -> Tensor:
    # Sums of shifted images: a convolution in double precision would copy each pixel per weight.
    length = images.shape[dim] - len(weights) + 1
    out = images.narrow(dim, 0, length) * weights[0]
    for start, weight in enumerate(weights[1:], 1):
        out.add_(images.narrow(dim, start, length), alpha=weight)
    return out


@hookimpl
def register_metrics(register: Register) -> None:
    """Register the metrics of this file."""
    register("psnr", Psnr)
    register("ssim", Ssim)
