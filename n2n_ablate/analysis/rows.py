"""The rows of the table of a condition: trials, references, and methods without training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis.contrast import plain
from n2n_ablate.analysis.paired import Rule, Side
from n2n_ablate.analysis.records import (
    Caveat,
    Contrast,
    ContrastRecord,
    Kind,
    Metric,
    Role,
)
from n2n_ablate.analysis.study_records import TrialRecord
from n2n_ablate.records import StudyTrials, TrialResult
from n2n_ablate.records.results import OWN, mean_of
from n2n_ablate.study import BASELINE, Plan, Trial

UNTRAINED = "untrained"


def table(
    result: StudyTrials, condition: str, rule: Rule, contrasts: Mapping[str, ContrastRecord]
) -> tuple[TrialRecord, ...]:
    """Return the rows of a condition: best first, trials with failed fits and those without result last.

    A mean over the images that a trial survived says nothing beside a mean over all of them. Where
    trials were given different images, in a race, the differences are ranked instead.
    """
    rows = [_row(item, result, condition, rule, contrasts) for item in result.trials]
    rows += _untrained(result, condition, rule)
    uneven = len({row.n_images_given for row in rows if row.n_images_given}) > 1

    def place(row: TrialRecord) -> tuple[bool, float]:
        value = row.means[rule.metric.name]
        if uneven:
            estimate = row.contrast.estimate if row.contrast else None
            value = 0.0 if row.role == BASELINE else estimate
        return row.n_failed > 0, math.inf if value is None else -rule.sign * value

    rows.sort(key=place)
    front, ranks = _front(rows, rule.metric.name, rule.sign), itertools.count(1)
    return tuple(
        replace(row, rank=next(ranks) if row.role in OWN else None, pareto=row.name in front)
        for row in rows
    )


def metrics_of(plan: Plan) -> tuple[Metric, ...]:
    """Return the metrics of a plan, the one that decides first."""
    decides = plan.study.decide
    found = [
        Metric(
            name=name,
            unit=plan.scales[name].unit,
            higher_is_better=plan.scales[name].higher_is_better,
            convention=plan.scales[name].convention,
            margin=plan.study.margin if name == decides else None,
            decides=name == decides,
        )
        for name in plan.metrics
    ]
    return tuple(sorted(found, key=lambda metric: not metric.decides))


def contrast_of(trial: Trial, other: Trial) -> Contrast:
    """Return what is compared, with every parameter in which the two differ."""
    one, two = (dict(each.values) for each in (trial, other))
    keys = [key for key in {**one, **two} if one.get(key) != two.get(key)]
    if not keys:  # a reference lies outside the factors
        one, two = dict(trial.recipe.flat()), dict(other.recipe.flat())
        keys = [key for key in {**one, **two} if one.get(key) != two.get(key)]
    return Contrast(
        name=trial.name,
        baseline=other.name,
        parameters={key: one.get(key) for key in keys},
        baseline_parameters={key: two.get(key) for key in keys},
    )


def compare(
    first: TrialResult,
    second: TrialResult,
    condition: str,
    rule: Rule,
    *,
    role: Role = Role.EXPLORATORY,
    kind: Kind = Kind.TRIAL,
    caveats: Sequence[Caveat] = (),
) -> ContrastRecord:
    """Return the difference of two trials by the metric of a rule, with a plain interval."""
    one, two = (trial.values(rule.metric.name, condition) for trial in (first, second))
    contrast = replace(contrast_of(first.trial, second.trial), kind=kind)
    both = given_both(first, second, condition, rule.order)
    return plain(contrast, condition, one, two, both, rule, role=role, caveats=caveats)


def given_both(
    first: TrialResult | None, second: TrialResult | None, condition: str, order: Sequence[str]
) -> tuple[str, ...]:
    """Return the images that were given to both, in the order of the study."""
    if first is None or second is None:
        return ()
    both = {*first.given(condition)} & {*second.given(condition)}
    return tuple(image for image in order if image in both)


def secondary(
    item: TrialResult, base: TrialResult, result: StudyTrials, condition: str, rule: Rule
) -> dict[str, ContrastRecord]:
    """Return the differences of two trials by the metrics that do not decide, by name."""
    return {
        metric.name: compare(
            item, base, condition, replace(rule, metric=metric), role=Role.SECONDARY
        )
        for metric in metrics_of(result.plan)
        if not metric.decides
    }


def peak_of(item: TrialResult, condition: str, rule: Rule) -> stats.Peak | None:
    """Return peak against final value of a trial, by the metric that decides."""
    curves = item.curves(rule.metric.name, condition)
    return stats.peak(curves.steps, rule.sign * np.array(list(curves.images.values())))


def curve_differences(
    first: TrialResult, second: TrialResult, metric: str, condition: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return steps and the differences by image and step; None where steps or images differ."""
    one, two = (item.curves(metric, condition) for item in (first, second))
    shared = [image for image in one.images if image in two.images]
    if not shared or not np.array_equal(one.steps, two.steps):
        return None
    return one.steps, np.array([one.images[image] - two.images[image] for image in shared])


def crossing_of(
    first: TrialResult, second: TrialResult, metric: str, condition: str
) -> stats.Crossing | None:
    """Return where the mean curves of two trials cross for good."""
    found = curve_differences(first, second, metric, condition) if first is not second else None
    return stats.crossing(*found) if found else None


def _row(
    item: TrialResult,
    result: StudyTrials,
    condition: str,
    rule: Rule,
    contrasts: Mapping[str, ContrastRecord],
) -> TrialRecord:
    trial, base, metric = item.trial, result.baseline, rule.metric
    fits = [row for row in item.rows if row.condition == condition]
    contrast, beside = None, {}
    searched = trial.role == "search"
    if trial.role != BASELINE and base is not None:
        contrast = contrasts.get(trial.name) if trial.role == "declared" else None
        if contrast is None:
            caveat = Caveat.SELECTED_BY_SEARCH if searched else Caveat.NOT_DECLARED
            contrast = compare(item, base, condition, rule, caveats=[caveat])
        # Hundreds of searched trials, and nobody asks for their other metrics or peaks.
        beside = {} if searched else secondary(item, base, result, condition, rule)
    curves = item.curves(metric.name, condition)
    crossing = None
    if base is not None and not searched:
        crossing = crossing_of(item, base, metric.name, condition)
    return TrialRecord(
        name=trial.name,
        role=trial.role,
        rank=None,
        parameters=dict(trial.values),
        means={name: _finite(item.mean(name, condition)) for name in result.plan.metrics},
        contrast=contrast,
        secondary=beside,
        n_images=len(item.values(metric.name, condition)),
        n_images_given=len(item.given(condition)),
        n_fits=len(fits),
        n_failed=sum(bool(row.result.failure) for row in fits),
        seconds_per_fit=math.fsum(row.result.seconds for row in fits) / len(fits) if fits else None,
        curve=(tuple(curves.steps.tolist()), tuple(curves.mean.tolist())),
        peak=None if searched else peak_of(item, condition, rule),
        crossing=crossing,
    )


def _untrained(result: StudyTrials, condition: str, rule: Rule) -> Iterator[TrialRecord]:
    """Yield the methods that need no training, e.g. doing nothing: the scale of the table."""
    base, metric = result.baseline, rule.metric.name
    known = base.values(metric, condition) if base else {}
    other: Side = {image: np.array([mean_of(values)]) for image, values in known.items()}
    given = [image for image in rule.order if image in other]
    for name, method in result.reference_methods.items():
        values = {image: each for (label, image), each in method.items() if label == condition}
        side: Side = {image: np.array([each[metric]]) for image, each in values.items()}
        contrast = plain(Contrast(name), condition, side, other, given, rule, role=Role.EXPLORATORY)
        means = {
            each: _finite(float(np.mean([x.get(each, math.nan) for x in values.values()])))
            if values
            else None
            for each in result.plan.metrics
        }
        n = len(values)
        yield TrialRecord(name, UNTRAINED, None, {}, means, contrast, {}, n, 0, 0, 0, None)


def _front(rows: Sequence[TrialRecord], metric: str, sign: int) -> set[str]:
    """Return the rows that no other of the study's trials beats in both the metric and seconds."""
    order = sorted(
        (row for row in rows if row.role in OWN and not row.n_failed and row.seconds_per_fit),
        key=lambda row: (row.seconds_per_fit or 0.0, -sign * (row.means[metric] or 0.0)),
    )
    front, best = set(), -math.inf
    for row in order:
        value = row.means[metric]
        if value is not None and sign * value > best:
            front.add(row.name)
            best = sign * value
    return front


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
