"""Which recipe of a study to use: the baseline, unless a contrast is better than it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from n2n_ablate.analysis import rows
from n2n_ablate.analysis.paired import Rule
from n2n_ablate.analysis.records import Caveat, ContrastRecord, Kind, Reason, Verdict
from n2n_ablate.analysis.study_records import Best, Rival, StudyAnalysis, Support
from n2n_ablate.records import StudyTrials, TrialResult
from n2n_ablate.records.results import OWN, mean_of
from n2n_ablate.study import BASELINE

NOTHING = Best(BASELINE, Support.NO_RESULT, None, 0, {})

_AGAINST = (Verdict.WORSE, Verdict.WITHHELD)


def best_of(result: StudyTrials, study: StudyAnalysis) -> Best:
    """Return the recipe to use.

    A candidate is *better* than the baseline under some condition and under none *worse* or withheld,
    by the verdicts of the confirmation where there is one, else by those of the declared contrasts.
    They share one family over all conditions, so an equal baseline is left in at most 5 % of studies.
    Of several candidates it is the one with the best mean on the images that all of them have. Without a
    candidate it is the baseline: the highest of several means is partly luck.

    `study`: its analysis, without the best.
    """
    judge, deciding = (result.confirmed or result), study.deciding
    labels, metric = [each.condition for each in study.conditions], study.metric
    known = {item.trial.name: item for item in judge.trials}
    own, _ = shared_means(whole(result, labels), labels, metric.name)
    highest = leader(own, metric.higher_is_better)
    candidates = [known[name] for name in _better(deciding) if name in known]
    means, images = shared_means(candidates, labels, metric.name)
    name = leader(means, metric.higher_is_better)
    if name:
        support = Support.CONFIRMED if result.confirmed else Support.DECLARED
        found = Best(
            name=name,
            support=support,
            mean=means[name],
            n_images=images,
            contrasts=_contrasts(deciding, name),
            rivals=_rivals(candidates, name, study, labels),
        )
    else:
        found = _baseline(result, judge, deciding, labels, highest)
    if highest in ("", found.name, BASELINE) or highest in means:
        return replace(found, highest=highest)
    return replace(found, highest=highest, highest_contrasts=_known_of(highest, study))


def _better(deciding: StudyAnalysis) -> list[str]:
    """Return the contrasts that are better under some condition and stand under all."""
    found = []
    for line in deciding.summary:
        verdicts = [record.verdict for record in line.by_condition.values()]
        stands = Verdict.BETTER in verdicts and not any(v in _AGAINST for v in verdicts)
        if stands and line.contrast.kind is Kind.TRIAL:
            found.append(line.contrast.name)
    return found


def _contrasts(stage: StudyAnalysis, name: str) -> dict[str, ContrastRecord]:
    line = next((each for each in stage.summary if each.contrast.name == name), None)
    return dict(line.by_condition) if line else {}


def _known_of(name: str, study: StudyAnalysis) -> Mapping[str, ContrastRecord]:
    """Return what is known of a trial, from the stage that decides if it was tried there."""
    if found := _contrasts(study.deciding, name):
        return found
    table = {each.condition: each.trial(name).contrast for each in study.conditions}
    return {label: record for label, record in table.items() if record is not None}


def _rivals(
    candidates: Sequence[TrialResult], name: str, study: StudyAnalysis, labels: Sequence[str]
) -> tuple[Rival, ...]:
    """Return the other candidates, and how far the chosen one is ahead of each."""
    chosen = next(item for item in candidates if item.trial.name == name)
    rule = Rule(study.metric, 1, study.deciding.images, study.deciding.clusters)
    caveats = [Caveat.NOT_DECLARED]

    def ahead(label: str, other: TrialResult) -> ContrastRecord:
        return rows.compare(chosen, other, label, rule, kind=Kind.PAIR, caveats=caveats)

    return tuple(
        Rival(item.trial.name, {label: ahead(label, item) for label in labels})
        for item in candidates
        if item is not chosen
    )


def _baseline(
    result: StudyTrials,
    judge: StudyTrials,
    deciding: StudyAnalysis,
    labels: Sequence[str],
    highest: str,
) -> Best:
    base, support = judge.baseline or result.baseline, Support.NOTHING_BETTER
    if all(each.baseline_reason is Reason.BASELINE_FAILED for each in deciding.conditions):
        support = Support.BASELINE_FAILED
    elif not highest:
        support = Support.NO_RESULT
    mean, images = None, 0
    if base is not None and base.complete(labels):
        values = [base.values(deciding.metric.name, label) for label in labels]
        if all(values):
            mean = float(np.mean([base.mean(deciding.metric.name, label) for label in labels]))
            images = min(map(len, values))
    return Best(
        name=BASELINE,
        support=support,
        mean=mean,
        n_images=images,
        contrasts={},
        baseline_failed_fits=base.failures if base else 0,
        baseline_fits=len(base.rows) if base else 0,
    )


def whole(result: StudyTrials, conditions: Sequence[str]) -> list[TrialResult]:
    """Return the study's own trials that have results and lost no fit under these conditions."""
    return [item for item in result.trials if item.trial.role in OWN and item.complete(conditions)]


def shared_means(
    trials: Sequence[TrialResult], conditions: Sequence[str], metric: str
) -> tuple[dict[str, float], int]:
    """Return the mean of every trial over the images that all of them have, and how many these are.

    In a race a trial that is decided early has fewer images than others: a mean over easy images
    says nothing beside a mean over hard ones. The mean is over images, then over conditions.

    Returns:
        Nothing if under some condition no image is in all of them.
    """
    totals, fewest = dict.fromkeys((item.trial.name for item in trials), 0.0), math.inf
    for condition in conditions:
        values = [item.values(metric, condition) for item in trials]
        shared = set(values[0]).intersection(*values[1:]) if values else set()
        if not shared:
            return {}, 0
        fewest = min(fewest, len(shared))
        for item, own in zip(trials, values, strict=True):
            mean = math.fsum(mean_of(own[image]) for image in sorted(shared)) / len(shared)
            totals[item.trial.name] += mean / len(conditions)
    return totals, int(fewest) if trials else 0


def leader(means: Mapping[str, float], higher_is_better: bool) -> str:
    """Return the name of the best mean, the first of equals; empty if there is none."""
    sign = 1 if higher_is_better else -1
    return max(means, key=lambda name: sign * means[name], default="")
