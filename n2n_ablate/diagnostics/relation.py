"""How PSNR goes with leak and gap over trials and images, and what the loss alone would choose. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class LossAlone:
    """What choosing a trial by its final training loss, without clean images, would have cost."""

    # by the loss against by PSNR, see `stats.ranking`; None if there is nothing to rank
    ranking: stats.Ranking | None
    trials: int  # how many have a loss and a PSNR on some image
    # different samplers among them, or settings of one: each cuts other views, so that the loss
    # measures something else
    samplers: int = 1

    @property
    def tau(self) -> Mean:
        """Kendall's tau-b of low loss and high PSNR over trials, image by image, and the mean.

        Of no image where two trials are all there is: they can only agree or disagree.
        """
        ranking = self.ranking
        if ranking is None or ranking.trials < _FEWEST:
            return _NONE
        images = ranking.images if math.isfinite(ranking.tau) else 0
        return Mean(ranking.tau, ranking.tau_low, ranking.tau_high, images)

    @property
    def lost(self) -> Mean:
        """The dB between the best trial of an image and the one with the lowest loss on it."""
        ranking = self.ranking
        if ranking is None:
            return _NONE
        return Mean(ranking.cost, ranking.cost_low, ranking.cost_high, ranking.images)


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


def loss_alone(
    finals: Mapping[str, Mapping[str, tuple[float, float]]], *, samplers: int = 1
) -> LossAlone:
    """Tell what the self-supervised loss alone is worth for choosing among trials.

    `finals`: final training loss and PSNR by trial, then by image. Trials that have both on no image are left
    out, then images that a trial lost. `samplers`: different samplers among the trials.
    """
    whole = {
        trial: {image: pair for image, pair in values.items() if all(map(math.isfinite, pair))}
        for trial, values in finals.items()
    }
    kept = [values for values in whole.values() if values]
    guides = [{image: -loss for image, (loss, _) in values.items()} for values in kept]
    truths = [{image: psnr for image, (_, psnr) in values.items()} for values in kept]
    return LossAlone(stats.ranking(guides, truths), len(kept), samplers)


def mean_over_images(values: Sequence[float]) -> Mean:
    """Return the mean of one rank correlation per image with its t interval; NaN is left out."""
    kept = [value for value in values if not math.isnan(value)]
    if not kept:
        return _NONE
    mean, low, high = stats.t_interval(kept)
    if not math.isfinite(low):
        return Mean(mean, math.nan, math.nan, len(kept))
    return Mean(mean, max(-1.0, low), min(1.0, high), len(kept))


def _spearman(pairs: Sequence[tuple[float, float]]) -> float:
    if len(pairs) < _FEWEST:
        return math.nan
    first, second = (rankdata(values) for values in zip(*pairs, strict=True))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])
