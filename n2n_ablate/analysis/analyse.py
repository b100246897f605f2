"""From the results of a study to everything they say: see `analyse`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from n2n_ablate import stats
from n2n_ablate.analysis import best_recipe, rows
from n2n_ablate.analysis.best_recipe import shared_means
from n2n_ablate.analysis.condition import condition_analysis
from n2n_ablate.analysis.contrast import primary
from n2n_ablate.analysis.paired import Rule, effect_sides
from n2n_ablate.analysis.records import Contrast, ContrastRecord, Kind, Verdict, to_plain
from n2n_ablate.analysis.study_records import (
    ConditionAnalysis,
    ConfirmationRecord,
    ConfirmedContrast,
    ContrastSummary,
    Failure,
    Family,
    FitCounts,
    Origin,
    SearchOutcome,
    StudyAnalysis,
)
from n2n_ablate.records import Header, StudyTrials
from n2n_ablate.study import BASELINE, Effect, Plan


def analyse(result: StudyTrials, header: Header | None = None) -> StudyAnalysis:
    """Return everything that the results of a study say, its confirmation included; linear in fits.

    `header`: what the trials share; by default that of the result.

    Raises:
        ValueError: Neither gives a header.
    """
    head = header or result.header
    if head is None:
        msg = "the result has no header, so give one: analyse(result, header)"
        raise ValueError(msg)
    plan, rule = result.plan, rule_of(result, head)
    by_condition = _with_holm(result, rule)
    conditions = tuple(
        condition_analysis(result, head, label, rule, records)
        for label, records in by_condition.items()
    )
    study = StudyAnalysis(
        study=plan.study.name,
        question=plan.study.question,
        profile=plan.profile.name,
        plan=plan.key,
        settings=tuple(plan.settings),
        images=rule.order,
        clusters=rule.clusters,
        seeds=tuple(plan.profile.seeds),
        metrics=rows.metrics_of(plan),
        family=family_of(plan),
        conditions=conditions,
        summary=_summary(by_condition),
        best=best_recipe.NOTHING,
        fits=_fits(result),
        failures=_failures(result),
        interim_sizes=head.interim_sizes,
        confirmation=_confirmation(result, head, conditions),
        confirmation_planned=plan.profile.confirm is not None,
        searched=bool(plan.space),
    )
    return replace(study, best=best_recipe.best_of(result, study))


def to_json(result: StudyTrials, header: Header) -> dict[str, Any]:
    """Return the analysis of a study, with its recipes and noises; numbers that do not exist are None."""
    plan = result.plan
    return {
        **to_plain(analyse(result, header)),
        "noises": {condition.label: condition.plain() for condition in plan.conditions},
        "recipes": {each.trial.name: each.trial.recipe.flat() for each in result.trials},
    }


def family_of(plan: Plan) -> Family:
    """Return the verdicts of a stage that share one allowed error."""
    return Family(len(plan.effects) or len(plan.contrasts), len(plan.conditions))


def rule_of(result: StudyTrials, header: Header) -> Rule:
    """Return how the verdicts of a stage are decided."""
    return Rule(
        metric=rows.metrics_of(result.plan)[0],
        size=family_of(result.plan).size,
        order=tuple(mark.name for mark in header.images),
        clusters={mark.name: mark.cluster or mark.name for mark in header.images},
        interim_sizes=header.interim_sizes,
        decides=result.plan.profile.decides,
    )


def decided(result: StudyTrials, header: Header) -> set[str]:
    """Return the contrasts of a race that are decided under every condition: they need no more images."""
    rule = rule_of(result, header)
    labels = [condition.label for condition in result.plan.conditions]
    still = set(result.plan.contrasts)
    for label in labels:
        still &= {
            record.contrast.name
            for record in contrasts(result, label, rule)
            if record.interim is not None and record.interim.decided
        }
    return still


def contrasts(result: StudyTrials, condition: str, rule: Rule) -> tuple[ContrastRecord, ...]:
    """Return the primary contrasts under a condition, in the order of the plan, run or not."""
    if result.plan.effects:
        return tuple(_effect(result, effect, condition, rule) for effect in result.plan.effects)
    known = {item.trial.name: item for item in result.trials if item.trial.role == "declared"}
    planned = {trial.name: trial for trial in result.plan.declared}
    base, metric = result.baseline, rule.metric.name
    found = []
    for name in result.plan.contrasts:
        item = known.get(name)
        contrast = rows.contrast_of(planned[name], result.plan.baseline)
        both = rows.given_both(item, base, condition, rule.order)
        sides = [each.values(metric, condition) if each else {} for each in (item, base)]
        found.append(primary(contrast, condition, sides[0], sides[1], both, rule))
    return tuple(found)


def _effect(result: StudyTrials, effect: Effect, condition: str, rule: Rule) -> ContrastRecord:
    """Return an effect of a factorial: the mean of one half of its cells against the other."""
    kind = Kind.MAIN_EFFECT if effect.order == 1 else Kind.INTERACTION
    cells = {x.trial.name: x for x in result.trials if x.trial.role in (BASELINE, "declared")}
    contrast = Contrast(effect.name, BASELINE, kind)
    halves = [[cells.get(name) for name in names] for names in (effect.plus, effect.minus)]
    if not all(cell for half in halves for cell in half):
        return primary(contrast, condition, {}, {}, (), rule)
    both = [[cell for cell in half if cell] for half in halves]
    given = [x for x in rule.order if all(x in c.given(condition) for h in both for c in h)]
    sides = [[cell.values(rule.metric.name, condition) for cell in half] for half in both]
    plus, minus = effect_sides(*sides, order=effect.order)
    return primary(contrast, condition, plus, minus, given, rule)


def _with_holm(result: StudyTrials, rule: Rule) -> dict[str, tuple[ContrastRecord, ...]]:
    """Return the primary contrasts by condition, with p values corrected over all of them."""
    known = {each.label: contrasts(result, each.label, rule) for each in result.plan.conditions}
    ps = [record.p for records in known.values() for record in records if record.p is not None]
    adjusted = iter(stats.holm(ps, size=rule.size))
    return {
        label: tuple(
            replace(record, p_holm=next(adjusted)) if record.p is not None else record
            for record in records
        )
        for label, records in known.items()
    }


def _summary(found: Mapping[str, tuple[ContrastRecord, ...]]) -> tuple[ContrastSummary, ...]:
    lines = []
    for records in zip(*found.values(), strict=True):
        verdicts = [record.verdict for record in records if record.verdict]
        counts = Counter(verdicts)
        estimates = [record.estimate for record in records if record.estimate is not None]
        lines.append(
            ContrastSummary(
                contrast=records[0].contrast,
                by_condition=dict(zip(found, records, strict=True)),
                verdict=verdicts[0] if len(counts) == 1 else None,
                counts={verdict: counts[verdict] for verdict in Verdict if verdict in counts},
                lowest=min(estimates, default=None),
                highest=max(estimates, default=None),
            )
        )
    return tuple(lines)


def _fits(result: StudyTrials) -> FitCounts:
    return FitCounts(
        total=sum(len(item.rows) for item in result.trials),
        failed=sum(item.failures for item in result.trials),
        cached=sum(item.cached for item in result.trials),
        seconds=sum(item.seconds for item in result.trials),
    )


def _failures(result: StudyTrials) -> tuple[Failure, ...]:
    return tuple(
        Failure(item.trial.name, row.condition, row.image, row.seed, row.result.failure)
        for item in result.trials
        for row in item.rows
        if row.result.failure
    )


def _confirmation(
    result: StudyTrials, header: Header, conditions: Sequence[ConditionAnalysis]
) -> ConfirmationRecord | None:
    """Return the confirmation on held-out images, beside what the study's own trials showed."""
    later = header.confirmed or (result.confirmed.header if result.confirmed else None)
    if result.confirmed is None or later is None:
        return None
    analysis = analyse(result.confirmed, later)
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
        earlier=later.earlier,
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
