"""How PSNR goes with leak and gap over trials and images. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from n2n_ablate import stats

_FEWEST = 3  # trials whose ranks say anything


@dataclass(frozen=True)
class Point:
    """One trial on one image."""

    # their names
    trial: str
    image: str
    psnr: float  # in dB, the mean over seeds
    leak: float  # the larger of both ways, 0 if the sampler has no clear one
    gap: float  # in grey levels


@dataclass(frozen=True)
class Mean:
    """A mean over images with its 95 % t interval."""

    value: float  # NaN if no image gives a value
    # of the interval; NaN where there is none: one image, or the same value on all
    low: float
    high: float
    images: int  # how many gave a value

    @property
    def sign(self) -> int:
        """1 or -1 if the interval excludes 0, else 0; without an interval 0."""
        return int(self.low > 0) - int(self.high < 0)

    @property
    def same(self) -> bool:
        """True if all of several images give the same value, so that there is no interval."""
        return self.images > 1 and math.isnan(self.low)


_NONE = Mean(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Relation:
    """How PSNR goes with one diagnostic."""

    what: str  # `leak` or `gap`
    # Spearman's correlation of PSNR with its size over trials, image by image, and the mean
    rank: Mean
    trials: int  # how many trials were compared
    among: str = ""  # which trials, empty for all


def relations(points: Sequence[Point]) -> list[Relation]:
    """Tell how PSNR goes with leak, with gap, and with gap among the trials without a clear leak.

    Ranks are compared within an image, because images differ in PSNR by far more than trials do.
    The last is there because leak and gap are mixed otherwise: a leaking trial loses whatever its
    gap is.
    """
    leaking = {point.trial for point in points if point.leak}
    known = [relation(points, "leak"), relation(points, "gap")]
    rest = [point for point in points if point.trial not in leaking]
    if leaking and len({point.trial for point in rest}) >= _FEWEST:
        known.append(relation(rest, "gap", among="trials without a clear leak"))
    return known


def relation(points: Sequence[Point], what: str, *, among: str = "") -> Relation:
    """Tell how PSNR goes with the size of `leak` or `gap`.

    `points`: one per trial and image, in any order. Points without a finite value are left out. `what`:
    `leak` or `gap`; `among`: which trials these are; empty for all.
    """
    by_image: dict[str, list[tuple[float, float]]] = {}
    trials = set()
    for point in points:
        size = abs(float(getattr(point, what)))
        if math.isfinite(point.psnr) and math.isfinite(size):
            by_image.setdefault(point.image, []).append((size, point.psnr))
            trials.add(point.trial)
    ranks = [_spearman(values) for values in by_image.values()]
    return Relation(what, mean_over_images(ranks), len(trials), among)


def mean_over_images(values: Sequence[float]) -> Mean:
    """Return the mean of one rank correlation per image with its t interval; NaN is left out."""
    kept = [value for value in values if not math.isnan(value)]
    if not kept:
        return _NONE
    mean, ends = stats.t_interval(kept)
    if ends is None:
        return Mean(mean, math.nan, math.nan, len(kept))
    return Mean(mean, max(-1.0, ends.low), min(1.0, ends.high), len(kept))


def _spearman(pairs: Sequence[tuple[float, float]]) -> float:
    if len(pairs) < _FEWEST:
        return math.nan
    first, second = (rankdata(values) for values in zip(*pairs, strict=True))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])
