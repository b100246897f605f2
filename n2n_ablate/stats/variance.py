"""Where the uncertainty of a difference comes from: buy images, or seeds?

A value y of trial t on image i with seed s is taken apart into

    y = mean + trial + image + seed within image + trial x image + trial x seed within image

A seed stands for a draw of the noise *and* for the initial weights and the sampler's random
numbers of one training. The design couples them, so their parts cannot be told apart: that takes
several trainings on one noisy image. Image and seed within image are shared by both trials
and cancel in the paired difference; the two last parts are what its interval is made of.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

from n2n_ablate.stats.intervals import LEVEL, Interval
from n2n_ablate.stats.planning import narrowing
from n2n_ablate.stats.verdicts import Levels

Seeds = Mapping[str, Mapping[int, float]]
"""Value per image and seed."""

_HALF = 0.5  # of the variance of the mean: what seeds have to make for seeds to help


class Buy(StrEnum):
    """What would narrow the intervals of a study most, as far as its data say."""

    IMAGES = "images"
    SEEDS_TOO = "seeds_too"
    UNKNOWN = "unknown"
    """The data do not say whether seeds make more or less than half of the variance."""
    NO_CONTRAST = "no_contrast"
    NO_COMMON_IMAGE = "no_common_image"
    ONE_IMAGE = "one_image"
    ONE_SEED = "one_seed"
    NO_SPREAD = "no_spread"


@dataclass(frozen=True)
class VarianceComponents:
    """Standard deviations by source, in units of the metric. Numbers are None where not estimable."""

    code: Buy  # what to buy, or why that is not estimable
    n_images: int  # on which all trials have all seeds
    n_seeds: int  # per image
    n_contrasts: int  # pooled; of a factorial, its effects
    sd_image: float | None = None  # shared by both trials: pairing removes them
    sd_seed: float | None = None
    # of the difference: between images, how far these disagree about a trial; between seeds on one
    sd_trial_image: float | None = None
    sd_trial_seed: float | None = None
    seed_share: float | None = None  # of the variance of the mean difference, what seeds make
    seed_share_interval: Interval | None = None  # exact for normal values
    # by what share twice the images would narrow the intervals with a verdict, the smaller critical
    # value of t included; None with one image
    narrowing_images: float | None = None
    narrowing_seeds: float | None = None  # the same of twice the seeds


def components(
    halves: Sequence[tuple[Sequence[Seeds], Sequence[Seeds]]], size: int = 1
) -> VarianceComponents:
    """Take the variance of paired differences apart by the method of moments.

    Balanced one-way analysis of variance of the differences, seeds within images; estimates below
    zero are reported as zero. Several contrasts are pooled by averaging their mean squares; since
    they share the baseline, the interval counts the degrees of freedom of one. An interaction counts
    half of what it is reported as, as the difference of its halves: on the scale of a main effect.

    `halves`: of each contrast both sides, as means over cells: a trial and the baseline, or those of an effect
    of a factorial; failed fits left out. `size`: of the family.
    """
    images, seeds = _complete([cell for half in halves for side in half for cell in side])
    n, r = len(images), len(seeds)
    gain = narrowing(n, Levels(size).difference)
    record = functools.partial(
        VarianceComponents, n_images=n, n_seeds=r, n_contrasts=len(halves), narrowing_images=gain
    )
    if reason := _missing(len(halves), n, r):
        return record(reason)
    tables = [[_mean(side, images, seeds) for side in half] for half in halves]
    between, within = _pooled([first - second for first, second in tables])
    main_between, main_within = _pooled([(first + second) / 2 for first, second in tables])
    if between <= 0 or within <= 0:
        return record(Buy.NO_SPREAD)
    share, ends = _share(between / within, n, r)
    return record(
        _advice(share, ends),
        # The mean of two trials holds half the variance of one trial's part, a difference twice.
        sd_image=_root((main_between - main_within) / r - (between - within) / r / 4),
        sd_seed=_root(main_within - within / 4),
        sd_trial_image=_root((between - within) / r),
        sd_trial_seed=_root(within),
        seed_share=share,
        seed_share_interval=ends,
        narrowing_seeds=1 - math.sqrt(1 - share / 2),
    )


def _missing(contrasts: int, images: int, seeds: int) -> Buy | None:
    """Return why nothing can be taken apart; None if there is enough of everything."""
    if not contrasts:
        return Buy.NO_CONTRAST
    if images < 2:
        return Buy.ONE_IMAGE if images else Buy.NO_COMMON_IMAGE
    return Buy.ONE_SEED if seeds < 2 else None


def _complete(arms: Sequence[Seeds]) -> tuple[list[str], list[int]]:
    """Return the images that every trial has, and the seeds that all of these have everywhere."""
    finite = [
        {
            image: {seed for seed, value in values.items() if math.isfinite(value)}
            for image, values in arm.items()
        }
        for arm in arms
    ]
    most = max((len(seeds) for arm in finite for seeds in arm.values()), default=0)
    images = [
        image
        for image in (arms[0] if arms else ())
        if all(len(arm.get(image, ())) == most > 0 for arm in finite)
    ]
    sets = [arm[image] for arm in finite for image in images]
    return images, sorted(set.intersection(*sets)) if sets else []


def _mean(arms: Sequence[Seeds], images: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
    """Return the mean over arms, shape (images, seeds)."""
    values = [[[arm[image][seed] for seed in seeds] for image in images] for arm in arms]
    return np.mean(values, axis=0)


def _pooled(tables: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return mean squares between and within images, averaged over tables (images, seeds)."""
    seeds = tables[0].shape[1]
    between = [seeds * np.var(table.mean(axis=1), ddof=1) for table in tables]
    within = [np.var(table, axis=1, ddof=1).mean() for table in tables]
    return float(np.mean(between)), float(np.mean(within))


def _share(ratio: float, images: int, seeds: int) -> tuple[float, Interval]:
    """Return what seeds make of the variance of the mean, from the ratio of the mean squares."""
    df = (images - 1, images * (seeds - 1))
    ends = (stats.f.ppf(tail, *df) / ratio for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    low, high = (min(1.0, float(end)) for end in ends)
    return min(1.0, 1 / ratio), Interval(low, high, LEVEL, "f")


def _advice(share: float, ends: Interval) -> Buy:
    if ends.low < _HALF < ends.high:
        return Buy.UNKNOWN
    return Buy.IMAGES if share < _HALF else Buy.SEEDS_TOO


def _root(variance: float) -> float:
    return math.sqrt(max(0.0, variance))
