"""Where the uncertainty of a difference comes from: buy images, or seeds?

A value y of trial t on image i with seed s is taken apart into

    y = mean + trial + image + seed within image + trial x image + trial x seed within image

A seed stands for a draw of the noise *and* for the initial weights and the sampler's random
numbers of one training. The design couples them, so their parts cannot be told apart: that takes
several trainings on one noisy image. Image and seed within image are shared by both trials
and cancel in the paired difference; the two last parts are what its interval is made of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from n2n_ablate.stats.intervals import LEVEL

Seeds = Mapping[str, Mapping[int, float]]
"""Value per image and seed."""


@dataclass(frozen=True)
class VarianceComponents:
    """Standard deviations by source, in units of the metric; NaN where not estimable."""

    images: int  # on which all trials have all seeds
    seeds: int  # per image
    contrasts: int  # pooled; of a factorial, its effects
    image: float = math.nan  # between images, the same for both trials: pairing removes it
    # between seeds on one image, the same for both trials: pairing removes it
    seed: float = math.nan
    # of the difference, between images: how far images disagree about a trial
    trial_image: float = math.nan
    trial_seed: float = math.nan  # of the difference, between seeds on one image
    # of the variance of the mean difference, what seeds are to blame for, 0 to 1
    share: float = math.nan
    share_low: float = math.nan  # ends of its 95 % interval (exact for normal values)
    share_high: float = math.nan

    @property
    def estimable(self) -> bool:
        """True if the parts can be told apart."""
        return math.isfinite(self.share)


def components(firsts: Sequence[Seeds], second: Seeds) -> VarianceComponents:
    """Take the variance of paired differences apart by the method of moments.

    Balanced one-way analysis of variance of the differences, seeds within images; estimates below
    zero are reported as zero. Several contrasts are pooled by averaging their mean squares; since
    they share the baseline, the interval counts the degrees of freedom of one.

    Args:
        firsts: Value per image and seed of each trial, failed fits left out.
        second: The same of the trial that they are compared with.
    """
    return _components([([first], [second]) for first in firsts])


def components_of_effects(
    halves: Sequence[tuple[Sequence[Seeds], Sequence[Seeds]]],
) -> VarianceComponents:
    """Take the variance of the effects of a factorial apart in the same way.

    An interaction counts with the difference of its halves, half of what it is reported as, so that
    all effects are on the scale of a main effect.

    Args:
        halves: Of each effect the cells of both halves, see `effect`: value per image and seed.
    """
    return _components(halves)


def _components(halves: Sequence[tuple[Sequence[Seeds], Sequence[Seeds]]]) -> VarianceComponents:
    if not halves:
        return VarianceComponents(0, 0, 0)
    images, seeds = _complete([cell for half in halves for side in half for cell in side])
    n, r = len(images), len(seeds)
    if n < 2 or r < 2:
        return VarianceComponents(n, r, len(halves))
    tables = [[_mean(side, images, seeds) for side in half] for half in halves]
    between, within = _pooled([first - second for first, second in tables])
    main_between, main_within = _pooled([(first + second) / 2 for first, second in tables])
    # The mean of two trials holds half the variance of one trial's own part, a difference twice.
    seed = main_within - within / 4
    image = (main_between - main_within) / r - (between - within) / r / 4
    found = VarianceComponents(
        n,
        r,
        len(halves),
        image=_root(image),
        seed=_root(seed),
        trial_image=_root((between - within) / r),
        trial_seed=_root(within),
    )
    return _with_share(found, between, within)


def _complete(arms: Sequence[Seeds]) -> tuple[list[str], list[int]]:
    """Return the images that every trial has, and the seeds that all of these have everywhere."""
    finite = [
        {
            image: {seed for seed, value in own.items() if math.isfinite(value)}
            for image, own in arm.items()
        }
        for arm in arms
    ]
    most = max((len(own) for arm in finite for own in arm.values()), default=0)
    images = [
        image for image in arms[0] if all(len(arm.get(image, ())) == most > 0 for arm in finite)
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


def _with_share(found: VarianceComponents, between: float, within: float) -> VarianceComponents:
    if between <= 0 or within <= 0:
        return found
    ratio = between / within
    df = (found.images - 1, found.images * (found.seeds - 1))
    ends = (stats.f.ppf(tail, *df) / ratio for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    low, high = (min(1.0, float(end)) for end in ends)
    return VarianceComponents(
        found.images,
        found.seeds,
        found.contrasts,
        found.image,
        found.seed,
        found.trial_image,
        found.trial_seed,
        share=min(1.0, 1 / ratio),
        share_low=low,
        share_high=high,
    )


def _root(variance: float) -> float:
    return math.sqrt(max(0.0, variance))
