"""What an analysis says of trials and of everything under one condition: see `records`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from n2n_ablate.analysis.records import Contrast, ContrastRecord, Reason, Verdict
from n2n_ablate.stats import Crossing, Peak, Ranking, VarianceComponents


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
class LossGuide(Ranking):
    """How well the training loss, which needs no clean image, ranks the trials by PSNR."""

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
    variance: VarianceComponents  # of the contrasts, pooled
    # why nothing can be compared; None if the baseline has results
    baseline_reason: Reason | None = None
    loss_guide: LossGuide | None = None  # none where losses differ in kind
    unequal_images: bool = False  # whether the rows rest on different numbers of images

    def trial(self, name: str) -> TrialRecord:
        """Return the row of a trial."""
        return next(row for row in self.trials if row.name == name)
