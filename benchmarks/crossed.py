"""The variance account where noise and training have seeds of their own, crossed on every image.

With several trainings on each of several noisy versions of an image, a value y of trial t is

    y = mean + trial + image + noise + training + rest
             + trial x image + trial x noise + trial x training + trial x rest

Noise and training are seeds within an image: noise draws it, training the initial weights and the
sampler's numbers. The first line is shared by both trials and cancels in their difference; the
second is what its interval is made of. `n2n_ablate.stats.components` is for the usual design, in which one seed
stands for both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from n2n_ablate.stats import LEVEL

SOURCES = ("image", "noise", "training", "rest")


@dataclass(frozen=True)
class Part:
    """A standard deviation, in units of the metric, and the ends of its 95 % interval."""

    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class Crossed:
    """Standard deviations by source.

    Attributes:
        images, noises, trainings: How many; the seeds are counted per image.
        shared: By source (see `SOURCES`): the same for both trials, so that pairing removes it.
        own: By source: of the difference of two trials.
        share: By source: of the variance of the mean difference, in this design; adds up to 1.
    """

    images: int
    noises: int
    trainings: int
    shared: dict[str, Part]
    own: dict[str, Part]
    share: dict[str, float]


def crossed(first: np.ndarray, second: np.ndarray) -> Crossed:
    """Take the variance of a paired difference apart by the method of moments.

    Balanced analysis of variance, noise and training crossed within images; estimates below zero
    are reported as zero. Intervals as in Ting et al. (1990), for normal values: of differences of
    mean squares, close to exact but no more.

    Args:
        first: Values of one trial, shape (images, noise seeds, training seeds), at least two each.
        second: Of the other, same shape.

    Raises:
        ValueError: The shapes differ, or there is one of something.
    """
    if first.shape != second.shape or first.ndim != 3 or min(first.shape) < 2:
        msg = (
            "both need the shape (images, noise seeds, training seeds) with two of each or more, "
            f"got {first.shape} and {second.shape}"
        )
        raise ValueError(msg)
    gaps, means = first - second, (first + second) / 2
    own, both = _squares(gaps), _squares(means)
    # The mean of two trials holds half the variance of one trial's own part, a difference twice.
    weights = _weights(gaps.shape)
    images, noises, trainings = gaps.shape
    spread = {name: max(0.0, float(weights[name] @ own)) for name in SOURCES}
    counts = dict(zip(SOURCES, (1, noises, trainings, noises * trainings), strict=True))
    variances = {name: spread[name] / (counts[name] * images) for name in SOURCES}
    total = math.fsum(variances.values()) or math.nan
    return Crossed(
        images,
        noises,
        trainings,
        shared={
            name: _part(
                np.concatenate([weights[name], -weights[name] / 4]),
                np.concatenate([both, own]),
                np.tile(_freedom(gaps.shape), 2),
            )
            for name in SOURCES
        },
        own={name: _part(weights[name], own, _freedom(gaps.shape)) for name in SOURCES},
        share={name: value / total for name, value in variances.items()},
    )


def _squares(values: np.ndarray) -> np.ndarray:
    """Return the mean squares of image, noise, training and rest."""
    images, noises, trainings = values.shape
    by_noise, by_training = values.mean(axis=2), values.mean(axis=1)
    by_image = values.mean(axis=(1, 2))
    rest = values - by_noise[:, :, None] - by_training[:, None, :] + by_image[:, None, None]
    sums = [
        noises * trainings * np.square(by_image - by_image.mean()).sum(),
        trainings * np.square(by_noise - by_image[:, None]).sum(),
        noises * np.square(by_training - by_image[:, None]).sum(),
        np.square(rest).sum(),
    ]
    return np.array(sums) / _freedom((images, noises, trainings))


def _freedom(shape: Sequence[int]) -> np.ndarray:
    images, noises, trainings = shape
    within = images * np.array([noises - 1, trainings - 1, (noises - 1) * (trainings - 1)])
    return np.concatenate([[images - 1], within]).astype(float)


def _weights(shape: Sequence[int]) -> dict[str, np.ndarray]:
    """Return by source the weights with which mean squares add up to its variance.

    The mean squares are expected to be rest + (trainings x noise) + (noises x training) + (both x
    image), each without what is not its own.
    """
    _, noises, trainings = shape
    return {
        "image": np.array([1.0, -1.0, -1.0, 1.0]) / (noises * trainings),
        "noise": np.array([0.0, 1.0, 0.0, -1.0]) / trainings,
        "training": np.array([0.0, 0.0, 1.0, -1.0]) / noises,
        "rest": np.array([0.0, 0.0, 0.0, 1.0]),
    }


def _part(weights: np.ndarray, squares: np.ndarray, freedom: np.ndarray) -> Part:
    """Return a sum of weighted mean squares as a standard deviation with its interval."""
    tail = (1 - LEVEL) / 2
    below = 1 - freedom / stats.chi2.isf(tail, freedom)
    above = freedom / stats.chi2.isf(1 - tail, freedom) - 1
    middle, parts = float(weights @ squares), np.square(weights * squares)
    plus = weights > 0
    down = math.sqrt(float(np.where(plus, below**2, above**2) @ parts))
    up = math.sqrt(float(np.where(plus, above**2, below**2) @ parts))
    return Part(_root(middle), _root(middle - down), _root(middle + up))


def _root(variance: float) -> float:
    return math.sqrt(max(0.0, variance))
