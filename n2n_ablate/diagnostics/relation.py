"""How PSNR goes with leak and gap over trials and images, and what the loss alone would choose. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
_FEWEST = 3  # trials for a rank correlation; images for an interval
_ROUGH = 24  # images from which a bootstrap interval covers about what it promises
_RESAMPLES = 4000


@dataclass(frozen=True)
class Point:
    """One trial on one image.

    Attributes:
        trial, image: Their names.
        psnr: In dB, the mean over seeds.
        leak: The larger of both ways, 0 if the sampler has no clear one.
        gap: In grey levels.
    """

    trial: str
    image: str
    psnr: float
    leak: float
    gap: float


@dataclass(frozen=True)
class Mean:
    """A mean over images with its percentile bootstrap interval (95 %).

    Attributes:
        value: NaN if no image gives a value.
        low, high: Of the interval; NaN with fewer than three images.
        images: How many gave a value.
    """

    value: float
    low: float
    high: float
    images: int

    @property
    def sign(self) -> int:
        """1 or -1 if the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Relation:
    """How PSNR goes with one diagnostic.

    Attributes:
        what: `leak` or `gap`.
        rank: Spearman's correlation of PSNR with its size over trials, image by image, and the mean.
        trials: How many trials were compared.
        among: Which trials, empty for all.
    """

    what: str
    rank: Mean
    trials: int
    among: str = ""

    @property
    def sentence(self) -> str:
        """What the data show, and no more."""
        among = f" among {self.among}" if self.among else ""
        if self.rank.images == 0:
            return (
                f"How PSNR goes with {self.what}{among} cannot be told: it takes {_FEWEST} trials "
                f"that differ in both, and there are {self.trials} trials."
            )
        about = f"{_interval(self.rank, 'mean rank correlation')}; {self.trials} trials"
        if self.rank.sign == 0:
            return f"Whether PSNR goes up or down with {self.what}{among} is not clear ({about})."
        way = "higher" if self.rank.sign > 0 else "lower"
        return (
            f"On the same image, trials with more {self.what}{among} tend to have {way} PSNR ({about}). "
            "The trials differ in more than that, so it need not be the cause."
        )


@dataclass(frozen=True)
class LossAlone:
    """What choosing a trial by its final training loss, without clean images, would have cost.

    Attributes:
        tau: Kendall's tau-b of loss and PSNR over trials, image by image; 1 if the lower loss always
            has the higher PSNR.
        lost: dB between the best trial of an image and the one with the lowest loss on it.
        trials: How many trials were compared.
        by_image: tau and loss in dB of each image.
    """

    tau: Mean
    lost: Mean
    trials: int
    by_image: Mapping[str, tuple[float, float]]

    @property
    def sentence(self) -> str:
        """What the data show, and no more."""
        if self.tau.images == 0:
            return (
                f"Whether the training loss ranks trials as PSNR does cannot be told from {self.trials} "
                "trials."
            )
        told = {
            1: "The trial with the lower training loss tends to have the higher PSNR",
            -1: "The trial with the lower training loss tends to have the lower PSNR",
            0: "Whether the lower training loss has the higher or the lower PSNR is not clear",
        }
        ends = ""
        if not math.isnan(self.lost.low):
            ends = f" (95 % interval {_plain(self.lost.low)} to {_plain(self.lost.high)})"
        return (
            f"{told[self.tau.sign]} ({_interval(self.tau, 'mean Kendall tau')}; {self.trials} trials). "
            f"Choosing each image's trial by the loss alone would have cost {_plain(self.lost.value)} dB "
            f"on average{ends}."
        )


def relations(points: Sequence[Point]) -> list[Relation]:
    """Tell how PSNR goes with leak, with gap, and with gap among the trials without a clear leak.

    Ranks are compared within an image, because images differ in PSNR by far more than trials do.
    The last is there because leak and gap are mixed otherwise: a leaking trial loses whatever its
    gap is.
    """
    leaking = {point.trial for point in points if point.leak}
    found = [relation(points, "leak"), relation(points, "gap")]
    rest = [point for point in points if point.trial not in leaking]
    if leaking and len({point.trial for point in rest}) >= _FEWEST:
        found.append(relation(rest, "gap", among="trials without a clear leak"))
    return found


def relation(points: Sequence[Point], what: str, *, among: str = "") -> Relation:
    """Tell how PSNR goes with the size of `leak` or `gap`.

    Args:
        points: One per trial and image, in any order. Points without a finite value are left out.
        what: `leak` or `gap`.
        among: Which trials these are, for the sentence.
    """
    by_image: dict[str, list[tuple[float, float]]] = {}
    trials = set()
    for point in points:
        size = abs(float(getattr(point, what)))
        if math.isfinite(point.psnr) and math.isfinite(size):
            by_image.setdefault(point.image, []).append((size, point.psnr))
            trials.add(point.trial)
    ranks = [_spearman(own) for own in by_image.values()]
    return Relation(what, mean_over_images(ranks), len(trials), among)


def loss_alone(finals: Mapping[str, Mapping[str, tuple[float, float]]]) -> LossAlone:
    """Tell what the self-supervised loss alone is worth for choosing among trials.

    Args:
        finals: Final training loss and PSNR by trial, then by image. On each image the trials that
            have both are compared.
    """
    images = dict.fromkeys(image for own in finals.values() for image in own)
    by_image = {}
    for image in images:
        pairs = [own[image] for own in finals.values() if image in own]
        pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
        if len(pairs) < _FEWEST:
            continue
        loss, psnr = np.array(pairs).T
        tau = float(stats.kendalltau(-loss, psnr).statistic)  # NaN if all are equal in one
        by_image[image] = (tau, float(psnr.max() - psnr[loss.argmin()]))
    return LossAlone(
        tau=mean_over_images([tau for tau, _ in by_image.values()]),
        lost=mean_over_images([lost for _, lost in by_image.values()]),
        trials=len(finals),
        by_image=by_image,
    )


def mean_over_images(values: Sequence[float]) -> Mean:
    """Return the mean of one value per image with a bootstrap interval; NaN values are left out."""
    kept = np.array([value for value in values if not math.isnan(value)])
    if not len(kept):
        return Mean(math.nan, math.nan, math.nan, 0)
    if len(kept) < _FEWEST:
        return Mean(float(kept.mean()), math.nan, math.nan, len(kept))
    picks = np.random.default_rng(0).integers(len(kept), size=(_RESAMPLES, len(kept)))
    low, high = np.quantile(kept[picks].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Mean(float(kept.mean()), float(low), float(high), len(kept))


def _spearman(pairs: Sequence[tuple[float, float]]) -> float:
    if len(pairs) < _FEWEST:
        return math.nan
    first, second = (stats.rankdata(values) for values in zip(*pairs, strict=True))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def _interval(mean: Mean, what: str) -> str:
    images = f"{mean.images} images" if mean.images > 1 else "1 image"
    if math.isnan(mean.low):
        return f"{what} {_plain(mean.value)}, {images}, no interval"
    rough = ", rough with so few" if mean.images < _ROUGH else ""
    return (
        f"{what} {_plain(mean.value)}, 95 % interval {_plain(mean.low)} to {_plain(mean.high)}, "
        f"bootstrap over {images}{rough}"
    )


def _plain(value: float) -> str:
    text = f"{value:.2f}"
    return (text[1:] if float(text) == 0 and text[0] == "-" else text).replace("-", "\u2212")
