"""Any two trials of a study under one condition, in full: see `compare_trials`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from n2n_ablate.analysis import rows
from n2n_ablate.analysis.condition import variance_of
from n2n_ablate.analysis.contrast import primary
from n2n_ablate.analysis.paired import Rule
from n2n_ablate.analysis.records import Caveat, ContrastRecord, Kind
from n2n_ablate.analysis.study_records import StudyAnalysis
from n2n_ablate.records import StudyTrials, TrialResult
from n2n_ablate.stats import Crossing, Peak, VarianceComponents
from n2n_ablate.study import BASELINE


@dataclass(frozen=True)
class Comparison:
    """Two trials of a study under one condition, in full."""

    contrast: ContrastRecord  # first minus second; as declared, with its verdict, or exploratory
    secondary: Mapping[str, ContrastRecord]  # the same by every other metric
    peaks: tuple[Peak | None, Peak | None]  # of either trial
    crossing: Crossing | None  # of their curves; None if they have no points in common
    variance: VarianceComponents  # of this difference
    confirmed: Comparison | None = None  # the same on held-out images; None without that


def compare_trials(
    result: StudyTrials, study: StudyAnalysis, first: str, second: str, condition: str
) -> Comparison:
    """Compare two trials of a study under one condition.

    A contrast that the study declared keeps the interval and the verdict that its table gives,
    whichever way round it is asked. Any other gets a plain interval and no verdict.

    `second`: name of the trial that is subtracted.

    Raises:
        KeyError: There is no such trial.
    """
    trials = {item.trial.name: item for item in result.trials}
    one, two = trials[first], trials[second]
    rule = Rule(
        study.metric,
        study.family.size,
        study.images,
        study.clusters,
        study.interim_sizes,
        decides=result.plan.profile.decides,
    )
    return Comparison(
        contrast=_declared(study, one, two, condition, rule) or _picked(one, two, condition, rule),
        secondary=rows.secondary(one, two, result, condition, rule),
        peaks=(rows.peak_of(one, condition, rule), rows.peak_of(two, condition, rule)),
        crossing=rows.crossing_of(one, two, study.metric.name, condition),
        variance=variance_of(one, two, condition, rule),
        confirmed=_confirmed(result, study, first, second, condition),
    )


def _declared(
    study: StudyAnalysis, first: TrialResult, second: TrialResult, condition: str, rule: Rule
) -> ContrastRecord | None:
    """Return the contrast of two trials if the study declared it, whichever way round."""
    known = {
        record.contrast.name: record
        for record in study.condition(condition).contrasts
        if record.contrast.kind is Kind.TRIAL
    }
    one, two = first.trial.name, second.trial.name
    if two == BASELINE and one in known:
        return known[one]
    if one != BASELINE or two not in known:
        return None
    turned = primary(
        rows.contrast_of(first.trial, second.trial),
        condition,
        first.values(rule.metric.name, condition),
        second.values(rule.metric.name, condition),
        rows.given_both(first, second, condition, rule.order),
        rule,
    )
    return replace(turned, p_holm=known[two].p_holm)


def _picked(first: TrialResult, second: TrialResult, condition: str, rule: Rule) -> ContrastRecord:
    searched = "search" in (first.trial.role, second.trial.role)
    caveats = [Caveat.SELECTED_BY_SEARCH] if searched else []
    caveats.append(Caveat.NOT_DECLARED)
    return rows.compare(first, second, condition, rule, kind=Kind.PAIR, caveats=caveats)


def _confirmed(
    result: StudyTrials, study: StudyAnalysis, first: str, second: str, condition: str
) -> Comparison | None:
    if result.confirmed is None or study.confirmation is None:
        return None
    names = {item.trial.name for item in result.confirmed.trials}
    if not {first, second} <= names:
        return None
    later = study.confirmation.analysis
    return compare_trials(result.confirmed, later, first, second, condition)
