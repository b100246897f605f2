"""What an analysis says of trials, of everything under one condition and of the study: see `records`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from n2n_ablate.analysis.records import Contrast, ContrastRecord, Metric, Reason, Verdict
from n2n_ablate.stats import Crossing, Interval, Levels, Peak, Ranking, VarianceComponents


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


@dataclass(frozen=True)
class Family:
    """The verdicts that share one allowed error."""

    contrasts: int  # declared, finished or not
    conditions: int
    alpha: float = 0.05  # chance of any false verdict in a study

    @property
    def size(self) -> int:
        """Contrasts times conditions, 1 at least."""
        return max(1, self.contrasts * self.conditions)

    @property
    def levels(self) -> Levels:
        """Of the intervals that decide."""
        return Levels(self.size, self.alpha)


class Support(StrEnum):
    """What speaks for the recipe to use."""

    CONFIRMED = "confirmed"
    """Better on held-out images."""
    DECLARED = "declared"
    """Better as declared beforehand; not confirmed on held-out images."""
    NOTHING_BETTER = "nothing_better"
    """No contrast is better than the baseline, so it stays."""
    BASELINE_FAILED = "baseline_failed"
    """Nothing can be compared with the baseline."""
    NO_RESULT = "no_result"
    """No trial has all its results."""


@dataclass(frozen=True)
class Rival:
    """Another trial that is better than the baseline too."""

    name: str  # of the trial
    # of the chosen trial against it, by condition: exploratory contrasts
    ahead: Mapping[str, ContrastRecord]


@dataclass(frozen=True)
class Best:
    """The recipe to use: the baseline, unless a contrast is better and under no condition worse."""

    name: str  # of the trial
    support: Support  # why
    # over images and conditions, of the confirmation where there is one; None without result
    mean: float | None
    n_images: int  # under each condition
    # its primary contrasts by condition; empty for the baseline
    contrasts: Mapping[str, ContrastRecord]
    rivals: tuple[Rival, ...] = ()  # other candidates
    highest: str = ""  # name of the study's trial with the best mean; empty if every one lost a fit
    # its contrasts by condition, where it was not chosen: what is known of it, primary ones of the
    # stage that decides if there are any
    highest_contrasts: Mapping[str, ContrastRecord] = dataclasses.field(default_factory=dict)
    baseline_failed_fits: int = 0  # of the stage that decides
    baseline_fits: int = 0


class Origin(StrEnum):
    """Why a contrast was confirmed."""

    DECLARED = "declared"
    SEARCH = "search"
    """The search chose it."""
    EARLIER = "earlier"
    """Only an earlier command chose it, and tried it on these images."""


@dataclass(frozen=True)
class ConfirmedContrast:
    """One contrast in the main study and on held-out images."""

    origin: Origin  # why it was confirmed
    before: ContrastRecord | None  # in the main study; None if it did not run there
    after: ContrastRecord  # on held-out images: this one has the verdict
    # how much of the difference is gone, counted in its direction before; None if one is missing
    shrinkage: float | None
    shrinkage_interval: Interval | None  # plain 95 % Welch interval, as the images are others


class SearchOutcome(StrEnum):
    """What became of a search's best in the confirmation."""

    CONFIRMED = "confirmed"
    NONE_ABOVE_BASELINE = "none_above_baseline"
    NO_COMPLETE_TRIAL = "no_complete_trial"


@dataclass(frozen=True)
class ConfirmationRecord:
    """The confirmation on held-out images."""

    analysis: StudyAnalysis  # of its own trials, with its own family
    # before and after, in the order of the plan, by condition
    contrasts: Mapping[str, tuple[ConfirmedContrast, ...]]
    # names of studies, one per earlier confirmation in this output folder that used some of the
    # same images
    earlier: tuple[str, ...] = ()
    search: SearchOutcome | None = None  # none unless the study is a search


@dataclass(frozen=True)
class Failure:
    """A fit without a result."""

    trial: str
    condition: str
    image: str
    seed: int
    message: str


@dataclass(frozen=True)
class FitCounts:
    """Fits of a stage: all, without a result, found in the cache, and their training time in seconds."""

    total: int
    failed: int
    cached: int
    seconds: float


@dataclass(frozen=True)
class StudyAnalysis:
    """Everything that a study, or its confirmation, says."""

    # as in the study file
    study: str
    question: str
    profile: str
    plan: str  # key of the plan, as in `studies --json`
    settings: tuple[str, ...]  # what the user changed, as typed
    images: tuple[str, ...]  # names, in the order of the fits
    clusters: Mapping[str, str]  # name of the scene by image
    seeds: tuple[int, ...]  # their numbers
    metrics: tuple[Metric, ...]  # the one that decides is the first
    family: Family  # of the verdicts
    conditions: tuple[ConditionAnalysis, ...]  # in the order of the study
    summary: tuple[ContrastSummary, ...]  # every primary contrast over all conditions
    best: Best  # the recipe to use
    fits: FitCounts  # counted
    failures: tuple[Failure, ...] = ()  # one per fit without a result
    interim_sizes: tuple[int, ...] = ()  # images at each interim analysis; empty without a race
    confirmation: ConfirmationRecord | None = None  # None if there is none, or it has not begun
    confirmation_planned: bool = False  # whether the profile asks for one
    searched: bool = False  # whether the study is a search

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return self.metrics[0]

    @property
    def deciding(self) -> StudyAnalysis:
        """The stage whose verdicts are the study's findings: the confirmation where there is one."""
        return self.confirmation.analysis if self.confirmation else self

    @property
    def stages(self) -> tuple[StudyAnalysis, ...]:
        """The study's own trials, and the confirmation if there is one."""
        return (self, self.confirmation.analysis) if self.confirmation else (self,)

    def condition(self, label: str) -> ConditionAnalysis:
        """Return the analysis under a condition."""
        return next(each for each in self.conditions if each.condition == label)
