"""Any two trials of a study under one condition, in full: see `compare_trials`."""

from __future__ import annotations

from dataclasses import replace

from n2n_ablate.analysis import rows
from n2n_ablate.analysis.contrast import Rule, plain
from n2n_ablate.analysis.records import (
    Caveat,
    Comparison,
    Contrast,
    ContrastRecord,
    Interval,
    Kind,
    LeaveOneOut,
    Reason,
    Role,
    StudyAnalysis,
    Verdict,
    Wins,
)
from n2n_ablate.analysis.sources import variance_of
from n2n_ablate.records import StudyResult, TrialResult
from n2n_ablate.study import BASELINE

_TURNED = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
_TURNED_REASONS = {
    Reason.BASELINE_FAILED: Reason.TRIAL_FAILED,
    Reason.TRIAL_FAILED: Reason.BASELINE_FAILED,
    Reason.BASELINE_LOST_IMAGES: Reason.TRIAL_LOST_IMAGES,
    Reason.TRIAL_LOST_IMAGES: Reason.BASELINE_LOST_IMAGES,
}


def compare_trials(
    result: StudyResult, study: StudyAnalysis, first: str, second: str, condition: str
) -> Comparison:
    """Compare two trials of a study under one condition.

    A contrast that the study declared keeps the interval and the verdict that its table gives,
    whichever way round it is asked. Any other gets a plain interval and no verdict.

    Args:
        result: With its confirmation.
        study: Its analysis.
        first: Name of a trial.
        second: Name of the trial that is subtracted.
        condition: Label of the noise.

    Raises:
        KeyError: There is no such trial.
    """
    trials = {item.trial.name: item for item in result.trials}
    one, two = trials[first], trials[second]
    rule = Rule(study.metric, study.family.size, study.images, study.clusters)
    sign = 1 if study.metric.higher_is_better else -1
    contrast = _declared(study, first, second, condition) or _picked(one, two, condition, rule)
    return Comparison(
        contrast=contrast,
        secondary=rows.secondary(one, two, result, condition, rule),
        peaks=(
            rows.peak_of(one, study.metric.name, condition, sign),
            rows.peak_of(two, study.metric.name, condition, sign),
        ),
        crossing=rows.crossing_of(one, two, study.metric.name, condition),
        variance=variance_of(one, two, condition, rule),
        confirmed=_confirmed(result, study, first, second, condition),
    )


def turned(record: ContrastRecord) -> ContrastRecord:
    """Return a contrast the other way round: baseline minus trial."""
    contrast = record.contrast
    return replace(
        record,
        contrast=Contrast(
            contrast.baseline,
            contrast.name,
            contrast.kind,
            contrast.baseline_parameters,
            contrast.parameters,
        ),
        verdict=_TURNED.get(record.verdict, record.verdict) if record.verdict else None,
        reason=_TURNED_REASONS.get(record.reason, record.reason) if record.reason else None,
        estimate=_negative(record.estimate),
        difference_interval=_turned(record.difference_interval),
        equivalence_interval=_turned(record.equivalence_interval),
        lost_by_trial=record.lost_by_baseline,
        lost_by_baseline=record.lost_by_trial,
        effect_size=_negative(record.effect_size),
        wins=_turned_wins(record.wins),
        leave_one_out=_turned_left(record.leave_one_out),
        fixed_images_interval=_turned(record.fixed_images_interval),
        images=tuple(
            replace(
                each,
                trial=each.baseline,
                baseline=each.trial,
                difference=_negative(each.difference),
            )
            for each in record.images
        ),
    )


def _declared(
    study: StudyAnalysis, first: str, second: str, condition: str
) -> ContrastRecord | None:
    """Return the declared contrast of two trials; without its verdict where a confirmation has it."""
    known = {
        record.contrast.name: record
        for record in study.condition(condition).contrasts
        if record.contrast.kind is Kind.TRIAL
    }
    record = None
    if second == BASELINE and first in known:
        record = known[first]
    elif first == BASELINE and second in known:
        record = turned(known[second])
    return record


def _picked(first: TrialResult, second: TrialResult, condition: str, rule: Rule) -> ContrastRecord:
    searched = "search" in (first.trial.role, second.trial.role)
    caveats = [Caveat.SELECTED_BY_SEARCH] if searched else []
    return plain(
        replace(rows.contrast_of(first.trial, second.trial), kind=Kind.PAIR),
        condition,
        first.values(rule.metric.name, condition),
        second.values(rule.metric.name, condition),
        rows.given_both(first, second, condition, rule.order),
        rule,
        role=Role.EXPLORATORY,
        caveats=[*caveats, Caveat.NOT_DECLARED],
    )


def _confirmed(
    result: StudyResult, study: StudyAnalysis, first: str, second: str, condition: str
) -> Comparison | None:
    if result.confirmed is None or study.confirmation is None:
        return None
    names = {item.trial.name for item in result.confirmed.trials}
    if not {first, second} <= names:
        return None
    later = study.confirmation.analysis
    return compare_trials(result.confirmed, later, first, second, condition)


def _negative(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def _turned(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    return replace(interval, low=0.0 - interval.high, high=0.0 - interval.low)


def _turned_wins(wins: Wins | None) -> Wins | None:
    if wins is None:
        return None
    interval = wins.interval
    if interval is not None:
        interval = replace(interval, low=1 - interval.high, high=1 - interval.low)
    share = None if wins.share is None else 1 - wins.share
    return Wins(wins.losses, wins.wins, wins.ties, wins.n, share, interval)


def _turned_left(left: LeaveOneOut | None) -> LeaveOneOut | None:
    if left is None:
        return None
    without = _TURNED.get(left.verdict_without, left.verdict_without)
    estimate = 0.0 - left.estimate_without
    low, high = 0.0 - left.high, 0.0 - left.low
    return replace(left, low=low, high=high, estimate_without=estimate, verdict_without=without)
