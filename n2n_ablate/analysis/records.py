"""What an analysis says: frozen records of numbers and codes, never a sentence.

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
    FEWER_IMAGES_THAN_OTHERS = "fewer_images_than_others"
    """The difference is over other images than those of other rows."""
    CONFIRMED_BEFORE = "confirmed_before"
    """Only an earlier command asked for this contrast, on these held-out images."""
    IMAGES_REUSED = "images_reused"
    """These held-out images have served earlier confirmations in this output folder."""


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
class Interval:
    """A confidence interval.

    Attributes:
        low, high: Ends, in units of the metric.
        level: Coverage, after any correction for several contrasts.
        method: `t`, `t_hall` (on each side the outer limit of t and Hall's skew-corrected one),
            `repeated_t`, `repeated_t_hall` (hold at every interim analysis), `welch`, `wilson`, `f`.
    """

    low: float
    high: float
    level: float
    method: str = "t"

    @property
    def half_width(self) -> float:
        """Half of its width; of an interval that is not symmetric about the estimate, the mean of both."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Metric:
    """A metric of the study.

    Attributes:
        name: As in study files, `--json` and MLflow.
        unit: `dB`; empty for none.
        higher_is_better: Direction.
        margin: Differences within +- margin count as equivalent; None if it does not decide.
        decides: Whether verdicts are read off it.
    """

    name: str
    unit: str = ""
    higher_is_better: bool = True
    margin: float | None = None
    decides: bool = False


@dataclass(frozen=True)
class Contrast:
    """What is compared with what, in full.

    Attributes:
        name: Of the trial (`sampler.center=0.2`) or of the effect of a factorial.
        baseline: Name of the trial that it is compared with, `baseline` unless a pair was picked.
        kind: See `Kind`.
        parameters: Of the trial, those that differ from the baseline, by key: what tables call it.
        baseline_parameters: The same keys in the baseline.
    """

    name: str
    baseline: str = "baseline"
    kind: Kind = Kind.TRIAL
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    baseline_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class ImageDifference:
    """One image of a contrast.

    Attributes:
        image: Its name.
        cluster: Name of the scene that it is a crop, a shot or an overlap of; its own name if it is alone.
        trial, baseline: Mean over seeds; None where the fits were lost.
        difference: Trial minus baseline; None unless both are there.
    """

    image: str
    cluster: str
    trial: float | None
    baseline: float | None
    difference: float | None


@dataclass(frozen=True)
class LeaveOneOut:
    """How far a contrast rests on a single image (or cluster of images).

    Attributes:
        low, high: Smallest and largest estimate without one of them.
        image: Name of the image or cluster that speaks loudest for the verdict: of a difference the one
            without which it is nearest to zero (or beyond), of *equivalent* without which it is farthest.
        estimate_without: Estimate without it.
        verdict_without: What the verdict would be without it.
        verdict_holds: Whether the verdict is the same whichever single one is left out.
    """

    low: float
    high: float
    image: str
    estimate_without: float
    verdict_without: Verdict
    verdict_holds: bool


@dataclass(frozen=True)
class Wins:
    """On how many images the trial is better.

    Attributes:
        wins, losses, ties: Of clusters of images; a tie is an exact equality.
        n: All of them.
        share: wins / (wins + losses); None if all are ties.
        interval: 95 % Wilson interval of the share; None with it.
    """

    wins: int
    losses: int
    ties: int
    n: int
    share: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Planning:
    """What a study of this size detects, and what would resolve an inconclusive contrast.

    The spread is known from few images: both figures use the upper end of its 80 % interval.

    Attributes:
        detectable_difference: A true difference of this size is called better or worse in at least 4 of 5 such
            studies, in units of the metric.
        images_needed: Images of a new study that would resolve the contrast if its mean stays as it
            is; None unless it is inconclusive.
    """

    detectable_difference: float
    images_needed: int | None


@dataclass(frozen=True)
class Interim:
    """Where the interim analyses of a race left a contrast.

    Attributes:
        number: Of the analysis that counts, from 1.
        sizes: Images at each planned analysis.
        decided: Whether it has a verdict; it gets no further images then.
    """

    number: int
    sizes: tuple[int, ...]
    decided: bool

    @property
    def last(self) -> bool:
        """Whether no further analysis is planned."""
        return self.number == len(self.sizes)


@dataclass(frozen=True)
class ContrastRecord:
    """Everything about one contrast under one condition by one metric.

    Attributes:
        contrast: What is compared.
        condition: Label of the noise.
        metric: What is measured.
        role: See `Role`.
        verdict: None unless `role` is primary.
        reason: Why it is withheld; None otherwise.
        estimate: Mean difference over clusters of images; None if no image has both.
        difference_interval: Two-sided, 1 - a/m: decides better and worse. Of a contrast without a verdict
            the plain 95 % interval. None without spread.
        equivalence_interval: 1 - 2a/m, two one-sided tests: decides equivalent. None without a verdict.
        n_images: That both have.
        n_clusters: Independent units among them: what the interval is over.
        n_seeds: Per image, averaged.
        lost_by_trial, lost_by_baseline: Images left out because the one lost a fit there.
        family_size: Contrasts times conditions; 1 without a verdict.
        sd: Standard deviation of the differences over clusters; None without spread.
        effect_size: d_z, the estimate in standard deviations; None without spread.
        p: Two-sided p of the paired t test of this contrast alone.
        p_holm: Holm-adjusted over the family.
        p_sign_flip, p_sign_flip_smallest: Of the sign-flip test, which assumes symmetric differences, and the
            smallest that so many images can give.
        probability_equivalent: That the true difference lies within +- margin: flat-prior t posterior.
        wins: On how many images the trial is better.
        leave_one_out: None with fewer than 3 units.
        fixed_images_interval: Second scope, on these images with other noise and training: plain 95 %
            interval from the spread over seeds; None with one seed.
        planning: None without a verdict, and below 4 units.
        interim: Of a race; None without one.
        images: Per-image values, in the order of the study.
        caveats: Codes.
    """

    contrast: Contrast
    condition: str
    metric: Metric
    role: Role
    verdict: Verdict | None
    reason: Reason | None
    estimate: float | None
    difference_interval: Interval | None
    equivalence_interval: Interval | None
    n_images: int
    n_clusters: int
    n_seeds: int
    lost_by_trial: int = 0
    lost_by_baseline: int = 0
    family_size: int = 1
    sd: float | None = None
    effect_size: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_sign_flip: float | None = None
    p_sign_flip_smallest: float | None = None
    probability_equivalent: float | None = None
    wins: Wins | None = None
    leave_one_out: LeaveOneOut | None = None
    fixed_images_interval: Interval | None = None
    planning: Planning | None = None
    interim: Interim | None = None
    images: tuple[ImageDifference, ...] = ()
    caveats: tuple[Caveat, ...] = ()

    @property
    def interval(self) -> Interval | None:
        """The interval that decided, which is the one to show."""
        decided = self.verdict is Verdict.EQUIVALENT
        return self.equivalence_interval if decided else self.difference_interval

    @property
    def margin(self) -> float | None:
        """Differences within +- margin count as equivalent."""
        return self.metric.margin


@dataclass(frozen=True)
class ContrastSummary:
    """A contrast over all conditions, in one line.

    Attributes:
        contrast: What is compared.
        by_condition: Its records by condition.
        verdict: The verdict where all conditions agree; otherwise None.
        counts: Conditions by verdict, those that occur.
        lowest, highest: Smallest and largest estimate over conditions.
    """

    contrast: Contrast
    by_condition: Mapping[str, ContrastRecord]
    verdict: Verdict | None
    counts: Mapping[Verdict, int]
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class Peak:
    """Stopping at the peak against training to the end, by the metric that decides.

    Attributes:
        step: Where the mean curve peaks.
        gain: What stopping at the peak step of the other images would have gained; None with one image.
        interval: Plain 95 %; None without spread.
        oracle_gain: Each image stopped at its own peak: an upper bound.
    """

    step: int
    gain: float | None
    interval: Interval | None
    oracle_gain: float


@dataclass(frozen=True)
class Crossing:
    """Whether and where two mean curves cross.

    Attributes:
        step: Of the last crossing; None if the curves do not cross.
        low, high: 95 % interval of the step; None with it.
        certain: Whether the difference excludes zero before and after, on opposite sides.
    """

    step: float | None
    low: int | None
    high: int | None
    certain: bool


@dataclass(frozen=True)
class TrialRecord:
    """One row of the table of a condition.

    Attributes:
        name: Of the trial, or of a reference method without training.
        role: `baseline`, `declared`, `search`, `reference`, or `untrained` (noisy, nl-means).
        rank: Among the study's trials by the metric that decides, from 1; None for references.
        parameters: Values of the factors.
        means: Mean of every metric over images; None where there is no image without a failed fit.
        contrast: Against the baseline, by the metric that decides; None for the baseline itself.
        secondary: The same by every other metric, by its name.
        n_images: Images that the means are over.
        n_images_given: Images that it was trained on.
        n_fits, n_failed: Fits, and those without a result.
        seconds_per_fit: Mean training time; None without training.
        curve: Mean of the deciding metric by step: steps and values; empty without training.
        peak: None without curves.
        crossing: With the baseline's curve; None if the curves have no points in common.
        pareto: Whether no other of the study's trials is better and faster.
    """

    name: str
    role: str
    rank: int | None
    parameters: Mapping[str, Any]
    means: Mapping[str, float | None]
    contrast: ContrastRecord | None
    secondary: Mapping[str, ContrastRecord]
    n_images: int
    n_images_given: int
    n_fits: int
    n_failed: int
    seconds_per_fit: float | None
    curve: tuple[tuple[int, ...], tuple[float, ...]] = ((), ())
    peak: Peak | None = None
    crossing: Crossing | None = None
    pareto: bool = False


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
    """Where the uncertainty of the contrasts comes from, pooled. Numbers are None where not estimable.

    Attributes:
        code: What to buy, or why that is not estimable.
        n_images, n_seeds, n_contrasts: That it is estimated from.
        sd_image, sd_seed: Shared by both trials: pairing removes them.
        sd_trial_image, sd_trial_seed: Of the difference.
        seed_share, seed_share_interval: Of the variance of the mean difference, what seeds make.
        narrowing_images: By what share twice the images would narrow the intervals with a verdict,
            the smaller critical value of t included; None with one image.
        narrowing_seeds, narrowing_seeds_interval: The same of twice the seeds.
    """

    code: Buy
    n_images: int
    n_seeds: int
    n_contrasts: int
    sd_image: float | None = None
    sd_seed: float | None = None
    sd_trial_image: float | None = None
    sd_trial_seed: float | None = None
    seed_share: float | None = None
    seed_share_interval: Interval | None = None
    narrowing_images: float | None = None
    narrowing_seeds: float | None = None
    narrowing_seeds_interval: Interval | None = None

    @property
    def estimable(self) -> bool:
        """Whether images and seeds can be told apart."""
        return self.seed_share is not None


@dataclass(frozen=True)
class Scope:
    """What the results of a condition hold for.

    Attributes:
        n_images, n_clusters: That were given, and independent units among them.
        n_compared: Most images that a contrast is over.
        n_seeds: Per image.
        smallest, largest: Height and width of the images.
        steps: Of the baseline's training.
    """

    n_images: int
    n_clusters: int
    n_compared: int
    n_seeds: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    steps: int


@dataclass(frozen=True)
class Highest:
    """The trial with the best mean by the metric that decides, over the images that all trials have.

    Attributes:
        name: Of the trial.
        role: Of the trial.
        mean: Over those images.
        baseline_mean: Of the baseline over the same images; None if it lost a fit.
        n_images: How many they are.
        n_images_most: Most images that one of the trials has.
        contrast: Its difference from the baseline; None for the baseline.
    """

    name: str
    role: str
    mean: float
    baseline_mean: float | None
    n_images: int
    n_images_most: int
    contrast: ContrastRecord | None


@dataclass(frozen=True)
class LossGuide:
    """How well the training loss, which needs no clean image, ranks the trials.

    Attributes:
        n_trials, n_images: Compared.
        tau, tau_interval: Kendall's tau-b within images, mean over images.
        tau_of_means: Of the means over images.
        cost, cost_interval: Lost by choosing on each image the trial of the lowest loss.
        n_samplers: With more than one, losses have no common scale.
    """

    n_trials: int
    n_images: int
    tau: float | None
    tau_interval: Interval | None
    tau_of_means: float | None
    cost: float | None
    cost_interval: Interval | None
    n_samplers: int


@dataclass(frozen=True)
class ConditionAnalysis:
    """Everything under one condition.

    Attributes:
        condition: Label of the noise.
        scope: What it holds for.
        trials: Rows of the table, best first; trials with failed fits and references behind.
        contrasts: Primary ones, in the order of the study: trials, or the effects of a factorial.
        highest: None if every trial lost a fit.
        variance: Of the contrasts, pooled.
        baseline_reason: Why nothing can be compared; None if the baseline has results.
        loss_guide: None where losses differ in kind.
        unequal_images: Whether the rows rest on different numbers of images.
    """

    condition: str
    scope: Scope
    trials: tuple[TrialRecord, ...]
    contrasts: tuple[ContrastRecord, ...]
    highest: Highest | None
    variance: VarianceRecord
    baseline_reason: Reason | None = None
    loss_guide: LossGuide | None = None
    unequal_images: bool = False

    def trial(self, name: str) -> TrialRecord:
        """Return the row of a trial."""
        return next(row for row in self.trials if row.name == name)


@dataclass(frozen=True)
class Family:
    """The verdicts that share one allowed error.

    Attributes:
        contrasts, conditions: Declared, finished or not.
        alpha: Chance of any false verdict in a study.
    """

    contrasts: int
    conditions: int
    alpha: float = 0.05

    @property
    def size(self) -> int:
        """Contrasts times conditions, 1 at least."""
        return max(1, self.contrasts * self.conditions)

    @property
    def difference_level(self) -> float:
        """Of the intervals that decide better and worse."""
        return 1 - self.alpha / self.size

    @property
    def equivalence_level(self) -> float:
        """Of the intervals that decide equivalent."""
        return 1 - 2 * self.alpha / self.size


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
    """Another trial that is better than the baseline too.

    Attributes:
        name: Of the trial.
        ahead: Of the chosen trial against it, by condition: exploratory contrasts.
    """

    name: str
    ahead: Mapping[str, ContrastRecord]


@dataclass(frozen=True)
class Best:
    """The recipe to use: the baseline, unless a contrast is better and under no condition worse.

    Attributes:
        name: Of the trial.
        support: Why.
        mean: Over images and conditions, of the confirmation where there is one; None without result.
        n_images: Under each condition.
        contrasts: Its primary contrasts by condition; empty for the baseline.
        rivals: Other candidates.
        highest: Name of the study's trial with the best mean; empty if every one lost a fit.
        highest_contrasts: Its contrasts by condition, where it was not chosen: what is known of it,
            primary ones of the stage that decides if there are any.
        baseline_failed_fits, baseline_fits: Of the stage that decides.
    """

    name: str
    support: Support
    mean: float | None
    n_images: int
    contrasts: Mapping[str, ContrastRecord]
    rivals: tuple[Rival, ...] = ()
    highest: str = ""
    highest_contrasts: Mapping[str, ContrastRecord] = dataclasses.field(default_factory=dict)
    baseline_failed_fits: int = 0
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
    """One contrast in the study's own trials and on held-out images.

    Attributes:
        origin: Why it was confirmed.
        before: In the study's own trials; None if it did not run there.
        after: On held-out images: this one has the verdict.
        shrinkage: How much of the difference is gone, counted in its direction before; None if one is missing.
        shrinkage_interval: Plain 95 % Welch interval, as the images are others.
    """

    origin: Origin
    before: ContrastRecord | None
    after: ContrastRecord
    shrinkage: float | None
    shrinkage_interval: Interval | None


class SearchOutcome(StrEnum):
    """What became of a search's best in the confirmation."""

    CONFIRMED = "confirmed"
    NONE_ABOVE_BASELINE = "none_above_baseline"
    NO_COMPLETE_TRIAL = "no_complete_trial"


@dataclass(frozen=True)
class ConfirmationRecord:
    """The confirmation on held-out images.

    Attributes:
        analysis: Of its own trials, with its own family.
        contrasts: Before and after, in the order of the plan, by condition.
        earlier: Names of studies, one per earlier confirmation in this output folder that used some of the same images.
        search: None unless the study is a search.
    """

    analysis: StudyAnalysis
    contrasts: Mapping[str, tuple[ConfirmedContrast, ...]]
    earlier: tuple[str, ...] = ()
    search: SearchOutcome | None = None


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
    """Everything that a study, or its confirmation, says.

    Attributes:
        study, question, profile: As in the study file.
        plan: Key of the plan, as in `studies --json`.
        settings: What the user changed, as typed.
        images: Names, in the order of the fits.
        clusters: Name of the scene by image.
        seeds: Their numbers.
        metrics: The one that decides is the first.
        family: Of the verdicts.
        conditions: In the order of the study.
        summary: Every primary contrast over all conditions.
        best: The recipe to use.
        fits: Counted.
        failures: One per fit without a result.
        interim_sizes: Images at each interim analysis; empty without a race.
        confirmation: None if there is none, or it has not begun.
        confirmation_planned: Whether the profile asks for one.
        searched: Whether the study is a search.
    """

    study: str
    question: str
    profile: str
    plan: str
    settings: tuple[str, ...]
    images: tuple[str, ...]
    clusters: Mapping[str, str]
    seeds: tuple[int, ...]
    metrics: tuple[Metric, ...]
    family: Family
    conditions: tuple[ConditionAnalysis, ...]
    summary: tuple[ContrastSummary, ...]
    best: Best
    fits: FitCounts
    failures: tuple[Failure, ...] = ()
    interim_sizes: tuple[int, ...] = ()
    confirmation: ConfirmationRecord | None = None
    confirmation_planned: bool = False
    searched: bool = False

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return self.metrics[0]

    @property
    def deciding(self) -> StudyAnalysis:
        """The stage whose verdicts are the study's findings: the confirmation where there is one."""
        return self.confirmation.analysis if self.confirmation else self

    def condition(self, label: str) -> ConditionAnalysis:
        """Return the analysis under a condition."""
        return next(each for each in self.conditions if each.condition == label)


@dataclass(frozen=True)
class Comparison:
    """Two trials of a study under one condition, in full.

    Attributes:
        contrast: First minus second; as declared, with its verdict, or exploratory.
        secondary: The same by every other metric.
        peaks: Of either trial.
        crossing: Of their curves; None if they have no points in common.
        variance: Of this difference.
        confirmed: The same on held-out images; None without that.
    """

    contrast: ContrastRecord
    secondary: Mapping[str, ContrastRecord]
    peaks: tuple[Peak | None, Peak | None]
    crossing: Crossing | None
    variance: VarianceRecord
    confirmed: Comparison | None = None


def to_plain(record: Any) -> Any:
    """Return a record as dicts, lists, numbers, strings and None, for JSON.

    Numbers that are not finite become None.
    """
    if dataclasses.is_dataclass(record):
        names = [field.name for field in dataclasses.fields(record)]
        return {name: to_plain(getattr(record, name)) for name in names}
    if isinstance(record, Mapping):
        return {str(key): to_plain(value) for key, value in record.items()}
    if isinstance(record, tuple | list):
        return [to_plain(value) for value in record]
    if isinstance(record, StrEnum):
        return record.value
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record
