"""What an analysis says of trials and of everything under one condition: see `records`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from n2n_ablate.analysis.records import Contrast, ContrastRecord, Interval, Reason, Verdict
from n2n_ablate.stats import Crossing


@dataclass(frozen=True)
class ContrastSummary:
    """A contrast over all conditions, in one line."""

    contrast: Contrast  # what is compared
    by_condition: Mapping[str, ContrastRecord]  # its records by condition
    verdict: Verdict | None  # the verdict where all conditions agree; otherwise None
    counts: Mapping[Verdict, int]  # conditions by verdict, those that occur
    lowest: float | None  # smallest and largest estimate over conditions
    highest: float | None


@dataclass(frozen=True)
class Peak:
    """Stopping at the peak against training to the end, by the metric that decides."""

    step: int  # where the mean curve peaks
    # what stopping at the peak step of the other images would have gained; None with one image
    gain: float | None
    interval: Interval | None  # plain 95 %; None without spread
    oracle_gain: float  # each image stopped at its own peak: an upper bound


@dataclass(frozen=True)
class TrialRecord:
    """One row of the table of a condition."""

    name: str  # of the trial, or of a reference method without training
    role: str  # `baseline`, `declared`, `search`, `reference`, or `untrained` (noisy, nl-means)
    # among the study's trials by the metric that decides, from 1; None for references
    rank: int | None
    parameters: Mapping[str, Any]  # values of the factors
    # mean of every metric over images; None where there is no image without a failed fit
    means: Mapping[str, float | None]
    # against the baseline, by the metric that decides; None for the baseline itself
    contrast: ContrastRecord | None
    secondary: Mapping[str, ContrastRecord]  # by every other metric; empty after a search
    n_images: int  # images that the means are over
    n_images_given: int  # images that it was trained on
    n_fits: int  # fits, and those without a result
    n_failed: int
    seconds_per_fit: float | None  # mean training time; None without training
    # mean of the deciding metric by step: steps and values; empty without training
    curve: tuple[tuple[int, ...], tuple[float, ...]] = ((), ())
    peak: Peak | None = None  # none without curves
    # with the baseline's curve; None if the curves have no points in common
    crossing: Crossing | None = None
    pareto: bool = False  # whether no other of the study's trials is better and faster


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
class VarianceRecord:
    """Where the uncertainty of the contrasts comes from, pooled. Numbers are None where not estimable."""

    code: Buy  # what to buy, or why that is not estimable
    n_images: int  # that it is estimated from
    n_seeds: int
    n_contrasts: int
    sd_image: float | None = None  # shared by both trials: pairing removes them
    sd_seed: float | None = None
    sd_trial_image: float | None = None  # of the difference
    sd_trial_seed: float | None = None
    seed_share: float | None = None  # of the variance of the mean difference, what seeds make
    seed_share_interval: Interval | None = None
    # by what share twice the images would narrow the intervals with a verdict, the smaller critical
    # value of t included; None with one image
    narrowing_images: float | None = None
    narrowing_seeds: float | None = None  # the same of twice the seeds

    @property
    def estimable(self) -> bool:
        """Whether images and seeds can be told apart."""
        return self.seed_share is not None


@dataclass(frozen=True)
class Scope:
    """What the results of a condition hold for."""

    n_images: int  # that were given, and independent units among them
    n_clusters: int
    n_compared: int  # most images that a contrast is over
    n_seeds: int  # per image
    smallest: tuple[int, int]  # height and width of the images
    largest: tuple[int, int]
    steps: int  # of the baseline's training


@dataclass(frozen=True)
class Highest:
    """The trial with the best mean by the metric that decides, over the images that all trials have."""

    name: str  # of the trial
    role: str  # of the trial
    mean: float  # over those images
    baseline_mean: float | None  # of the baseline over the same images; None if it lost a fit
    n_images: int  # how many they are
    n_images_most: int  # most images that one of the trials has
    contrast: ContrastRecord | None  # its difference from the baseline; None for the baseline


@dataclass(frozen=True)
class LossGuide:
    """How well the training loss, which needs no clean image, ranks the trials."""

    n_trials: int  # compared
    n_images: int
    tau: float | None  # Kendall's tau-b within images, mean over images
    tau_interval: Interval | None
    tau_of_means: float | None  # of the means over images
    cost: float | None  # lost by choosing on each image the trial of the lowest loss
    cost_interval: Interval | None
    n_samplers: int  # with more than one, losses have no common scale


@dataclass(frozen=True)
class ConditionAnalysis:
    """Everything under one condition."""

    condition: str  # label of the noise
    scope: Scope  # what it holds for
    # rows of the table, best first; trials with failed fits and references behind
    trials: tuple[TrialRecord, ...]
    # primary ones, in the order of the study: trials, or the effects of a factorial
    contrasts: tuple[ContrastRecord, ...]
    highest: Highest | None  # none if every trial lost a fit
    variance: VarianceRecord  # of the contrasts, pooled
    # why nothing can be compared; None if the baseline has results
    baseline_reason: Reason | None = None
    loss_guide: LossGuide | None = None  # none where losses differ in kind
    unequal_images: bool = False  # whether the rows rest on different numbers of images

    def trial(self, name: str) -> TrialRecord:
        """Return the row of a trial."""
        return next(row for row in self.trials if row.name == name)
