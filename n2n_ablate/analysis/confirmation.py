"""The confirmation on held-out images, beside what the study's own trials showed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from n2n_ablate import stats
from n2n_ablate.analysis.best_recipe import shared_means
from n2n_ablate.analysis.condition_records import ConditionAnalysis
from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.analysis.study_records import (
    ConfirmationRecord,
    ConfirmedContrast,
    Origin,
    SearchOutcome,
    StudyAnalysis,
)
from n2n_ablate.records import Header, StudyTrials
from n2n_ablate.study import BASELINE


def confirmation_record(
    result: StudyTrials,
    analysis: StudyAnalysis,
    conditions: Sequence[ConditionAnalysis],
    header: Header | None,
) -> ConfirmationRecord:
    """Return the confirmation of a study."""
    before = {
        each.condition: {row.name: row.contrast for row in each.trials} for each in conditions
    }
    return ConfirmationRecord(
        analysis=analysis,
        contrasts={
            each.condition: tuple(
                _confirmed(record, before.get(each.condition, {}), result)
                for record in each.contrasts
            )
            for each in analysis.conditions
        },
        earlier=header.earlier if header else (),
        search=_search_outcome(result, analysis),
    )


def _confirmed(
    after: ContrastRecord, known: Mapping[str, ContrastRecord | None], result: StudyTrials
) -> ConfirmedContrast:
    name = after.contrast.name
    origin = Origin.DECLARED
    if result.confirmed is not None and name in result.confirmed.plan.before:
        origin = Origin.EARLIER
    elif name not in result.plan.contrasts:
        origin = Origin.SEARCH
    before = known.get(name)
    shrinkage, ends = _shrinkage(before, after)
    return ConfirmedContrast(origin, before, after, shrinkage, ends)


def _shrinkage(
    before: ContrastRecord | None, after: ContrastRecord
) -> tuple[float | None, stats.Interval | None]:
    """Return how much of a difference is gone, counted in its direction before."""
    if before is None or before.estimate is None or after.estimate is None:
        return None, None
    sides = _units(before), _units(after)
    up = before.estimate > 0 or (before.estimate == 0 and after.estimate > 0)
    return stats.welch_interval(*(sides if up else ([-x for x in side] for side in sides)))


def _units(record: ContrastRecord) -> list[float]:
    """Return the differences of a contrast, one per cluster of images."""
    scenes: dict[str, list[float]] = {}
    for image in record.images:
        if image.difference is not None:
            scenes.setdefault(image.cluster, []).append(image.difference)
    return [math.fsum(values) / len(values) for values in scenes.values()]


def _search_outcome(result: StudyTrials, analysis: StudyAnalysis) -> SearchOutcome | None:
    """Return what became of the best of a search."""
    plan, later = result.plan, result.confirmed
    if later is None or not plan.space or plan.profile.confirm is None:
        return None
    if any(name not in (*plan.contrasts, *later.plan.before) for name in later.plan.contrasts):
        return SearchOutcome.CONFIRMED
    labels = [condition.label for condition in plan.conditions]
    own = [x for x in result.trials if x.trial.role != "reference" and x.complete(labels)]
    means, _ = shared_means(own, labels, analysis.metric.name)
    if BASELINE not in means:
        return SearchOutcome.NO_COMPLETE_TRIAL
    return SearchOutcome.NONE_ABOVE_BASELINE
