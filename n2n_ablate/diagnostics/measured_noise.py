"""What measured noise is like: strength, correlation over pixels, dependence on the signal. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GREY = 255.0


@dataclass(frozen=True)
class NoiseFigures:
    """The noise of one scene.

    Attributes:
        shots: How many there are; with one the noise is shot minus reference, the reference's own
            noise and any shift included, with more it is what shots differ by.
        psnr: Of a shot against the reference, in dB, the mean over shots.
        sigma: Standard deviation, of 255.
        down: Correlation with the pixel below.
        across: Correlation with the pixel beside.
        colours: Mean correlation between colours; None for one channel.
        bright: Standard deviation in the brightest quarter of the reference over that in the darkest.
    """

    shots: int
    psnr: float
    sigma: float
    down: float
    across: float
    colours: float | None
    bright: float


def noise_figures(reference: Tensor, shots: Sequence[Tensor]) -> NoiseFigures:
    """Measure the noise of a scene.

    Args:
        reference: (1, c, h, w).
        shots: Noisy images of the same shape.
    """
    noisy = torch.cat([shot.double() for shot in shots])
    errors = noisy - reference.double()
    psnr = -10 * torch.log10(errors.square().mean(dim=(1, 2, 3)).clamp(min=1e-12))
    count = len(noisy)
    if count > 1:  # differences hold noise alone
        errors = (noisy - noisy.mean(dim=0, keepdim=True)) * (count / (count - 1)) ** 0.5
    errors = errors - errors.mean(dim=(2, 3), keepdim=True)
    power = errors.square().mean()
    grey = reference.double().mean(dim=1, keepdim=True).expand(count, -1, -1, -1)
    low, high = torch.quantile(
        reference.double().mean(dim=1).flatten()[:1_000_000], torch.tensor([0.25, 0.75]).double()
    )
    squares = errors.square().mean(dim=1, keepdim=True)
    dark, bright = squares[grey <= low].mean(), squares[grey >= high].mean()
    return NoiseFigures(
        shots=count,
        psnr=float(psnr.mean()),
        sigma=GREY * float(power.sqrt()),
        down=_ratio((errors[..., 1:, :] * errors[..., :-1, :]).mean(), power),
        across=_ratio((errors[..., 1:] * errors[..., :-1]).mean(), power),
        colours=_between_colours(errors),
        bright=_ratio(bright, dark) ** 0.5,
    )


def _ratio(above: Tensor, below: Tensor) -> float:
    return float(above / below) if float(below) > 0 else float("nan")


def _between_colours(errors: Tensor) -> float | None:
    channels = errors.shape[1]
    if channels < 2:
        return None
    table = torch.corrcoef(errors.transpose(0, 1).flatten(1))
    return float((table.sum() - table.diagonal().sum()) / (channels * (channels - 1)))
