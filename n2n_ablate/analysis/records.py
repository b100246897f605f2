"""What an analysis says of a contrast: frozen records of numbers and codes, never a sentence.

What it says of trials, conditions and the whole study is in `study_records`.

Renderers (console, HTML, Markdown, LaTeX, CSV, JSON), MLflow and the Python API read these and nothing else.
A number that does not exist is None, so every record can be written as JSON: see `to_plain`.

Differences are always trial minus baseline, in units of the metric. Where a metric is better when
it is lower, `better` means a difference below zero: see `Metric.higher_is_better`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from n2n_ablate.stats import Interval


class Verdict(StrEnum):
    """What a study says of a contrast."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    WITHHELD = "withheld"
    IDENTICAL = "identical"


class Reason(StrEnum):
    """Why a verdict is withheld."""

    NOT_RUN = "not_run"
    """The trial or the baseline was not run under this condition."""
    BASELINE_FAILED = "baseline_failed"
    """No image is left on which the baseline has all its fits."""
    TRIAL_FAILED = "trial_failed"
    """No image is left on which the trial has all its fits."""
    NO_COMMON_IMAGE = "no_common_image"
    """Both have results, but on no image both."""
    NO_ANALYSIS_YET = "no_analysis_yet"
    """A race that has not reached its first interim analysis."""
    BASELINE_LOST_IMAGES = "baseline_lost_images"
    TRIAL_LOST_IMAGES = "trial_lost_images"
    BOTH_LOST_IMAGES = "both_lost_images"
    """Fits failed, or a metric was not finite, on some images: the rest is a selection."""
    ONE_IMAGE = "one_image"
    """One image (or one cluster of images) gives no interval."""
    NO_SPREAD = "no_spread"
    """The same difference, not zero, on every image: nothing to take an interval from."""
    DEMONSTRATION = "demonstration"
    """The profile is a demonstration: too few images and steps for any conclusion."""


class Caveat(StrEnum):
    """What a reader has to know beside a number."""

    RACED = "raced"
    """The intervals hold at every interim analysis; p values beside them do not allow for that."""
    STOPPED_EARLY = "stopped_early"
    """Decided at an interim analysis: the interval holds, the estimate tends to lie too far out."""
    SELECTED_BY_SEARCH = "selected_by_search"
    """Chosen for its result on these images: selection bias."""
    NOT_DECLARED = "not_declared"
    """Picked after the results were known: the interval does not allow for that."""
    CLUSTERED = "clustered"
    """Fewer independent units than images: crops, shots or overlaps of one scene are averaged."""
    ONE_SEED = "one_seed"
    """One seed per image: noise and training randomness are part of the spread over images."""
    RESTS_ON_ONE_IMAGE = "rests_on_one_image"
    """Without a single image the verdict would be another: see `LeaveOneOut`."""
    FEW_IMAGES = "few_images"
    """Fewer than 4 units: nothing can be planned from their spread."""
    IMAGES_LOST = "images_lost"
    """Some images are left out because a fit failed there."""


class Kind(StrEnum):
    """What a contrast compares."""

    TRIAL = "trial"
    """A trial with the baseline."""
    MAIN_EFFECT = "main_effect"
    """Of a factorial: one change, averaged over the other factors."""
    INTERACTION = "interaction"
    """Of a factorial: what two changes give together beyond the sum of both. Better: above the sum,
    worse: below it, equivalent: additive."""
    PAIR = "pair"
    """Any two trials."""


class Role(StrEnum):
    """What a contrast is worth."""

    PRIMARY = "primary"
    """Declared, by the metric that decides: it has a verdict and belongs to the family."""
    SECONDARY = "secondary"
    """By another metric: a plain interval, no verdict."""
    EXPLORATORY = "exploratory"
    """Not declared: a plain interval, no verdict."""


@dataclass(frozen=True)
class Metric:
    """A metric of the study."""

    name: str  # as in study files, `--json` and MLflow
    unit: str = ""  # `dB`; empty for none
    higher_is_better: bool = True
    # differences within +- margin count as equivalent; None if it does not decide
    margin: float | None = None
    decides: bool = False  # whether verdicts are read off it
    convention: str = ""  # of several in use, the one that its values follow


@dataclass(frozen=True)
class Contrast:
    """What is compared with what, in full."""

    name: str  # of the trial (`sampler.center=0.2`) or of the effect of a factorial
    # name of the trial that it is compared with, `baseline` unless a pair was picked
    baseline: str = "baseline"
    kind: Kind = Kind.TRIAL
    # of the trial, those that differ from the baseline, by key: what tables call it
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    # the same keys in the baseline
    baseline_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class ImageDifference:
    """One image of a contrast."""

    image: str
    # name of the scene that it is a crop, a shot or an overlap of; its own name if it is alone
    cluster: str
    trial: float | None  # mean over seeds; None where the fits were lost
    baseline: float | None
    difference: float | None  # trial minus baseline; None unless both are there


@dataclass(frozen=True)
class LeaveOneOut:
    """How far a contrast rests on a single image (or cluster of images)."""

    low: float  # smallest and largest estimate without one of them
    high: float
    # name of the image or cluster that speaks loudest for the verdict: of a difference the one
    # without which it is nearest to zero (or beyond), of *equivalent* without which it is farthest
    image: str
    estimate_without: float
    verdict_without: Verdict  # what the verdict would be without it
    verdict_holds: bool  # whether the verdict is the same whichever single one is left out


@dataclass(frozen=True)
class Wins:
    """On how many images the trial is better."""

    wins: int  # of clusters of images; a tie is an exact equality
    losses: int
    ties: int
    n: int  # all of them
    share: float | None  # wins / (wins + losses); None if all are ties
    interval: Interval | None  # 95 % Wilson interval of the share; None with it


@dataclass(frozen=True)
class Planning:
    """What a study of this size detects, and what would resolve an inconclusive contrast.

    The spread is known from few images: both figures use the upper end of its 80 % interval.
    """

    # a true difference of this size is called better or worse in at least 4 of 5 such studies, in
    # units of the metric
    detectable_difference: float
    # images of a new study that would resolve the contrast if its mean stays as it is; None unless
    # it is inconclusive
    images_needed: int | None


@dataclass(frozen=True)
class Interim:
    """Where the interim analyses of a race left a contrast."""

    number: int  # of the analysis that counts, from 1
    sizes: tuple[int, ...]  # images at each planned analysis
    decided: bool  # whether it has a verdict; it gets no further images then

    @property
    def last(self) -> bool:
        """Whether no further analysis is planned."""
        return self.number == len(self.sizes)


@dataclass(frozen=True, kw_only=True)
class ContrastRecord:
    """Everything about one contrast under one condition by one metric."""

    contrast: Contrast  # what is compared
    condition: str  # label of the noise
    metric: Metric  # what is measured
    role: Role  # see `Role`
    verdict: Verdict | None = None  # None unless `role` is primary
    reason: Reason | None = None  # why it is withheld; None otherwise
    estimate: float | None  # mean difference over clusters of images; None if no image has both
    # two-sided, 1 - a/m: decides better and worse. Of a contrast without a verdict the plain 95 %
    # interval. None without spread.
    difference_interval: Interval | None = None
    # 1 - 2a/m, two one-sided tests: decides equivalent. None without a verdict.
    equivalence_interval: Interval | None = None
    n_images: int  # that both have
    n_clusters: int  # independent units among them: what the interval is over
    n_seeds: int  # per image, averaged
    # images left out because the one lost a fit there
    lost_by_trial: int = 0
    lost_by_baseline: int = 0
    family_size: int = 1  # contrasts times conditions; 1 without a verdict
    # standard deviation of the differences over clusters; None without spread
    sd: float | None = None
    # d_z, the estimate in standard deviations; None without spread
    effect_size: float | None = None
    p: float | None = None  # two-sided p of the paired t test of this contrast alone
    p_holm: float | None = None  # Holm-adjusted over the family
    # of the sign-flip test, which assumes symmetric differences, and the smallest that so many
    # images can give
    p_sign_flip: float | None = None
    p_sign_flip_smallest: float | None = None
    # that the true difference lies within +- margin: flat-prior t posterior
    probability_equivalent: float | None = None
    wins: Wins | None = None  # on how many images the trial is better
    leave_one_out: LeaveOneOut | None = None  # None with fewer than 3 units
    # second scope, on these images with other noise and training: plain 95 % interval from the
    # spread over seeds; None with one seed
    fixed_images_interval: Interval | None = None
    planning: Planning | None = None  # None without a verdict, and below 4 units
    interim: Interim | None = None  # of a race; None without one
    images: tuple[ImageDifference, ...] = ()  # per-image values, in the order of the study
    caveats: tuple[Caveat, ...] = ()  # codes

    @property
    def interval(self) -> Interval | None:
        """The interval that decided, which is the one to show."""
        decided = self.verdict is Verdict.EQUIVALENT
        return self.equivalence_interval if decided else self.difference_interval

    @property
    def margin(self) -> float | None:
        """Differences within +- margin count as equivalent."""
        return self.metric.margin


def to_plain(record: Any) -> Any:
    """Return a record as dicts, lists, numbers, strings and None, for JSON.

    Numbers that are not finite become None.
    """
    kind = type(record)
    if kind is float:
        return record if math.isfinite(record) else None
    if record is None or kind in (str, int, bool):
        return record
    if names := getattr(kind, "__dataclass_fields__", None):
        return {name: to_plain(getattr(record, name)) for name in names}
    if isinstance(record, Mapping):
        return {str(key): to_plain(value) for key, value in record.items()}
    if isinstance(record, frozenset):
        return sorted(record)
    if isinstance(record, tuple | list):
        return [to_plain(value) for value in record]
    return record.value if isinstance(record, StrEnum) else record
