"""What measured noise is like: strength, correlation over pixels, dependence on the signal. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

GREY = 255.0
REACH = 4
"""Farthest pixel, along rows and columns, whose correlation with the noise is measured."""
_LEVELS = 8  # parts of equal size, from the darkest pixels of the scene to the brightest


@dataclass(frozen=True)
class NoiseFigures:
    """The noise of one scene."""

    # how many there are; with one the noise is shot minus reference, the reference's own noise and
    # any shift included, with more it is what shots differ by
    shots: int
    psnr: float  # of a shot against the reference, in dB, the mean over shots
    sigma: float  # standard deviation, of 255
    # correlation with the pixel that lies i rows below and j columns beside, i and j from -REACH
    # to REACH; NaN without noise
    correlations: tuple[tuple[float, ...], ...]
    # mean correlation between colours; None for one channel, and without noise
    colours: float | None
    # mean of the reference and standard deviation of the noise, both of 255, in eight parts of the
    # scene from dark to bright
    levels: tuple[tuple[float, float], ...]

    @property
    def down(self) -> float:
        """Correlation with the pixel below."""
        return self.correlations[REACH + 1][REACH]

    @property
    def across(self) -> float:
        """Correlation with the pixel beside."""
        return self.correlations[REACH][REACH + 1]

    @property
    def bright(self) -> float:
        """Standard deviation in the brightest quarter of the scene over that in the darkest."""
        squares = [sd**2 for _, sd in self.levels]
        quarter = max(1, len(squares) // 4)
        dark, bright = np.mean(squares[:quarter]), np.mean(squares[-quarter:])
        return float(np.sqrt(bright / dark)) if dark > 0 else float("nan")


def noise_figures(reference: Tensor, shots: Sequence[Tensor]) -> NoiseFigures:
    """Measure the noise of a scene.

    `reference`: (1, c, h, w); `shots`: noisy images of the same shape.
    """
    clean = reference[0].double().numpy()
    noisy = np.stack([shot[0].double().numpy() for shot in shots])
    errors = noisy - clean
    psnr = -10 * np.log10(np.maximum(np.square(errors).mean(axis=(1, 2, 3)), 1e-12))
    count = len(noisy)
    if count > 1:  # differences hold noise alone
        errors = (noisy - noisy.mean(axis=0)) * (count / (count - 1)) ** 0.5
    errors = errors - errors.mean(axis=(2, 3), keepdims=True)
    return NoiseFigures(
        shots=count,
        psnr=float(psnr.mean()),
        sigma=GREY * float(np.sqrt(np.square(errors).mean())),
        correlations=_correlations(errors),
        colours=_between_colours(errors),
        levels=_levels(clean, errors),
    )


def _correlations(errors: np.ndarray) -> tuple[tuple[float, ...], ...]:
    power = float(np.square(errors).mean())
    table = np.full((2 * REACH + 1, 2 * REACH + 1), np.nan)
    for down in range(min(REACH + 1, errors.shape[-2]) if power else 0):
        for beside in range(-REACH, REACH + 1):
            if abs(beside) >= errors.shape[-1]:
                continue
            one = errors[..., down:, max(0, beside) : errors.shape[-1] + min(0, beside)]
            other = errors[
                ..., : errors.shape[-2] - down, max(0, -beside) : errors.shape[-1] - max(0, beside)
            ]
            value = float((one * other).mean()) / power
            table[REACH + down, REACH + beside] = table[REACH - down, REACH - beside] = value
    return tuple(tuple(map(float, row)) for row in table)


def _levels(clean: np.ndarray, errors: np.ndarray) -> tuple[tuple[float, float], ...]:
    grey = clean.mean(axis=0).ravel()
    squares = np.square(errors).mean(axis=(0, 1)).ravel()
    parts = np.array_split(np.argsort(grey, kind="stable"), _LEVELS)
    return tuple(
        (GREY * float(grey[part].mean()), GREY * float(np.sqrt(squares[part].mean())))
        for part in parts
        if len(part)
    )


def _between_colours(errors: np.ndarray) -> float | None:
    channels = errors.shape[1]
    if channels < 2 or not errors.any():
        return None
    table = np.corrcoef(errors.swapaxes(0, 1).reshape(channels, -1))
    return float((table.sum() - np.trace(table)) / (channels * (channels - 1)))
