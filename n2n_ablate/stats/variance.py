"""Where the uncertainty of a difference comes from: buy images, or seeds?

A value y of trial t on image i with seed s is taken apart into

    y = mean + trial + image + seed within image + trial x image + trial x seed within image

A seed stands for a draw of the noise *and* for the initial weights and the sampler's random
numbers of one training. The design couples them, so their parts cannot be told apart: that takes
several trainings on one noisy image (see `crossed`). Image and seed within image are shared by both trials
and cancel in the paired difference; the two last parts are what its interval is made of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from n2n_ablate.stats.differences import LEVEL

Seeds = Mapping[str, Mapping[int, float]]
"""Value per image and seed."""

TWICE_THE_IMAGES = 1 - math.sqrt(1 / 2)
"""By what share twice the images narrow an interval, the widening by few images aside."""

_HALF = 0.5  # of the variance of the mean: what seeds have to make for seeds to help


@dataclass(frozen=True)
class Account:
    """Standard deviations by source, in units of the metric; NaN where not estimable.

    Attributes:
        images: On which all trials have all seeds.
        seeds: Per image.
        contrasts: Pooled; of a factorial, its effects.
        image: Between images, the same for both trials: pairing removes it.
        seed: Between seeds on one image, the same for both trials: pairing removes it.
        trial_image: Of the difference, between images: how far images disagree about a trial.
        trial_seed: Of the difference, between seeds on one image.
        share: Of the variance of the mean difference, what seeds are to blame for, 0 to 1.
        share_low, share_high: Ends of its 95 % interval (exact for normal values).
    """

    images: int
    seeds: int
    contrasts: int
    image: float = math.nan
    seed: float = math.nan
    trial_image: float = math.nan
    trial_seed: float = math.nan
    share: float = math.nan
    share_low: float = math.nan
    share_high: float = math.nan

    @property
    def estimable(self) -> bool:
        """True if the parts can be told apart."""
        return math.isfinite(self.share)

    @property
    def twice_the_seeds(self) -> str:
        """By what share twice the seeds would narrow an interval, with the ends of its interval."""
        gain, low, high = (
            1 - math.sqrt(1 - share / 2) for share in (self.share, self.share_low, self.share_high)
        )
        return f"{gain:.0%} ({low:.0%} to {high:.0%})"

    @property
    def tells(self) -> bool:
        """True if the data tell whether seeds make more or less than half of the variance."""
        return not self.share_low < _HALF < self.share_high

    @property
    def advice(self) -> str:
        """What to buy, in a sentence."""
        if not self.contrasts:
            return "not estimable: nothing that was asked has a result"
        if not self.images:
            return "not estimable: no image has all results of what is compared"
        if self.images < 2:
            return "not estimable: it takes two images or more"
        if self.seeds < 2:
            return "not estimable: with one seed per image, images and seeds cannot be told apart"
        if not self.estimable:
            return "not estimable: the differences are the same for all images and seeds"
        known = f"{self.share:.0%} ({self.share_low:.0%} to {self.share_high:.0%})"
        gains = (
            f"twice the seeds narrow intervals by {self.twice_the_seeds}, "
            f"twice the images by {TWICE_THE_IMAGES:.0%}"
        )
        what = "buy images" if self.share < _HALF else "seeds help too, where images are short"
        if not self.tells:
            what = "buy images, as these data do not tell whether seeds help too"
        return f"{what}: seeds make {known} of the variance of the mean; {gains}"


def account(firsts: Sequence[Seeds], second: Seeds) -> Account:
    """Take the variance of paired differences apart by the method of moments.

    Balanced one-way analysis of variance of the differences, seeds within images; estimates below
    zero are reported as zero. Several contrasts are pooled by averaging their mean squares; since
    they share the baseline, the interval counts the degrees of freedom of one.

    Args:
        firsts: Value per image and seed of each trial, failed fits left out.
        second: The same of the trial that they are compared with.
    """
    return _account([([first], [second]) for first in firsts])


def account_of_effects(
    halves: Sequence[tuple[Sequence[Seeds], Sequence[Seeds]]],
) -> Account:
    """Take the variance of the effects of a factorial apart in the same way.

    An interaction counts with the difference of its halves, half of what it is reported as, so that
    all effects are on the scale of a main effect.

    Args:
        halves: Of each effect the cells of both halves, see `effect`: value per image and seed.
    """
    return _account(halves)


def _account(halves: Sequence[tuple[Sequence[Seeds], Sequence[Seeds]]]) -> Account:
    if not halves:
        return Account(0, 0, 0)
    images, seeds = _complete([cell for half in halves for side in half for cell in side])
    n, r = len(images), len(seeds)
    if n < 2 or r < 2:
        return Account(n, r, len(halves))
    tables = [[_mean(side, images, seeds) for side in half] for half in halves]
    between, within = _pooled([first - second for first, second in tables])
    main_between, main_within = _pooled([(first + second) / 2 for first, second in tables])
    # The mean of two trials holds half the variance of one trial's own part, a difference twice.
    seed = main_within - within / 4
    image = (main_between - main_within) / r - (between - within) / r / 4
    found = Account(
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


def _with_share(found: Account, between: float, within: float) -> Account:
    if between <= 0 or within <= 0:
        return found
    ratio = between / within
    df = (found.images - 1, found.images * (found.seeds - 1))
    ends = (stats.f.ppf(tail, *df) / ratio for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    low, high = (min(1.0, float(end)) for end in ends)
    return Account(
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
