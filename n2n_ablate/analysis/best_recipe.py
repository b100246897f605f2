"""Which recipe of a study to use: the baseline, unless a contrast is better than it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from n2n_ablate.analysis import rows
from n2n_ablate.analysis.contrast import Rule, plain
from n2n_ablate.analysis.leaders import leader, shared_means, whole
from n2n_ablate.analysis.records import (
    Best,
    Caveat,
    ContrastRecord,
    Kind,
    Reason,
    Rival,
    Role,
    StudyAnalysis,
    Support,
    Verdict,
)
from n2n_ablate.records import StudyResult, TrialResult
from n2n_ablate.study import BASELINE

NOTHING = Best(BASELINE, Support.NO_RESULT, None, 0, {})

_AGAINST = (Verdict.WORSE, Verdict.WITHHELD)


def best_of(result: StudyResult, study: StudyAnalysis) -> Best:
    """Return the recipe to use.

    A candidate is *better* than the baseline under some condition and under none *worse* or withheld,
    by the verdicts of the confirmation where there is one, else by those of the declared contrasts.
    They share one family over all conditions, so an equal baseline is left in at most 5 % of studies.
    Of several candidates it is the one with the best mean on the images that all of them have. Without a
    candidate it is the baseline: the highest of several means is partly luck.

    Args:
        result: With its confirmation.
        study: Its analysis, without the best.
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
    stage = study.deciding
    rule = Rule(study.metric, 1, stage.images, stage.clusters)
    return tuple(
        Rival(
            item.trial.name,
            {label: _pair(chosen, item, label, rule) for label in labels},
        )
        for item in candidates
        if item is not chosen
    )


def _pair(first: TrialResult, second: TrialResult, label: str, rule: Rule) -> ContrastRecord:
    contrast = replace(rows.contrast_of(first.trial, second.trial), kind=Kind.PAIR)
    return plain(
        contrast,
        label,
        first.values(rule.metric.name, label),
        second.values(rule.metric.name, label),
        rows.given_both(first, second, label, rule.order),
        rule,
        role=Role.EXPLORATORY,
        caveats=[Caveat.NOT_DECLARED],
    )


def _baseline(
    result: StudyResult,
    judge: StudyResult,
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
