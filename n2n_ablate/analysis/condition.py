"""Everything that a study says under one condition: see `condition_analysis`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from n2n_ablate import stats
from n2n_ablate.analysis import best_recipe, rows
from n2n_ablate.analysis.paired import Rule
from n2n_ablate.analysis.records import ContrastRecord, Kind, Reason
from n2n_ablate.analysis.study_records import (
    ConditionAnalysis,
    Highest,
    LossGuide,
    Scope,
    TrialRecord,
)
from n2n_ablate.records import Header, StudyTrials, TrialResult
from n2n_ablate.records.results import OWN
from n2n_ablate.study import BASELINE


def condition_analysis(
    result: StudyTrials,
    header: Header,
    label: str,
    rule: Rule,
    contrasts: tuple[ContrastRecord, ...],
) -> ConditionAnalysis:
    """Return the analysis under a condition, given its contrasts with their verdicts."""
    table = rows.table(
        result,
        label,
        rule,
        {x.contrast.name: x for x in contrasts if x.contrast.kind is Kind.TRIAL},
    )
    counts = {n for row in table if row.role != "untrained" for n in _counts(row)}
    return ConditionAnalysis(
        condition=label,
        scope=_scope(header, rule, contrasts, table),
        trials=table,
        contrasts=contrasts,
        highest=_highest(result, label, rule, table),
        variance=variance(result, label, rule),
        baseline_reason=_baseline_reason(result, label, rule),
        loss_guide=loss_guide(result, label),
        unequal_images=len(counts - {0}) > 1,
    )


def _counts(row: TrialRecord) -> tuple[int, int]:
    return row.n_images, row.contrast.n_images if row.contrast else row.n_images


def _scope(
    header: Header, rule: Rule, contrasts: Sequence[ContrastRecord], table: Sequence[TrialRecord]
) -> Scope:
    sizes = [(mark.shape[-2], mark.shape[-1]) for mark in header.images] or [(0, 0)]
    heights, widths = zip(*sizes, strict=True)
    compared = [record.n_images for record in contrasts]
    compared += [row.contrast.n_images for row in table if row.contrast and not contrasts]
    return Scope(
        n_images=len(rule.order),
        n_clusters=rule.units(rule.order),
        n_compared=max(compared, default=0),
        n_seeds=len(header.plan.profile.seeds),
        smallest=(min(heights), min(widths)),
        largest=(max(heights), max(widths)),
        steps=header.steps,
    )


def _highest(
    result: StudyTrials, label: str, rule: Rule, table: Sequence[TrialRecord]
) -> Highest | None:
    complete = best_recipe.whole(result, [label])
    means, images = best_recipe.shared_means(complete, [label], rule.metric.name)
    if not means:
        return None
    name = best_recipe.leader(means, rule.metric.higher_is_better)
    row = next(row for row in table if row.name == name)
    most = max(len(item.values(rule.metric.name, label)) for item in complete)
    return Highest(name, row.role, means[name], means.get(BASELINE), images, most, row.contrast)


def _baseline_reason(result: StudyTrials, label: str, rule: Rule) -> Reason | None:
    base = result.baseline
    if base is None or not base.given(label):
        return Reason.NOT_RUN
    return None if base.values(rule.metric.name, label) else Reason.BASELINE_FAILED


def variance(result: StudyTrials, condition: str, rule: Rule) -> stats.VarianceComponents:
    """Return where the uncertainty of all declared contrasts, or effects, comes from."""
    metric = rule.metric.name
    if result.plan.effects:
        return stats.components(_halves(result, condition, metric), rule.size)
    base = result.baseline.by_seed(metric, condition) if result.baseline else {}
    firsts = [item.by_seed(metric, condition) for item in result.contrasts]
    return stats.components([([first], [base]) for first in firsts if first], rule.size)


def variance_of(
    first: TrialResult, second: TrialResult, condition: str, rule: Rule
) -> stats.VarianceComponents:
    """Return the same of one pair of trials."""
    one, two = (item.by_seed(rule.metric.name, condition) for item in (first, second))
    return stats.components([([one], [two])], rule.size)


def _halves(
    result: StudyTrials, condition: str, metric: str
) -> list[tuple[Sequence[stats.Seeds], Sequence[stats.Seeds]]]:
    own = (item for item in result.trials if item.trial.role in (BASELINE, "declared"))
    cells = {item.trial.name: item.by_seed(metric, condition) for item in own}
    return [
        ([cells[name] for name in effect.plus], [cells[name] for name in effect.minus])
        for effect in result.plan.effects
        if all(cells.get(name) for name in (*effect.plus, *effect.minus))
    ]


def finals(result: StudyTrials, condition: str) -> dict[str, dict[str, tuple[float, float]]]:
    """Return final training loss and PSNR by trial and image."""
    values = {}
    for item in result.trials:
        loss = item.by_image("loss", condition)
        values[item.trial.name] = {
            image: (loss.get(image, math.nan), psnr)
            for image, psnr in item.by_image("psnr", condition).items()
        }
    return values


def ranked_by_loss(finals: Mapping[str, Mapping[str, tuple[float, float]]]) -> stats.Ranking | None:
    """Compare the order of trials by their final training loss with that by PSNR.

    Trials that have both on no image are left out, then images that a trial lost.
    """
    whole = [
        {image: pair for image, pair in values.items() if all(map(math.isfinite, pair))}
        for values in finals.values()
    ]
    kept = [values for values in whole if values]
    guides = [{image: -loss for image, (loss, _) in values.items()} for values in kept]
    truths = [{image: psnr for image, (_, psnr) in values.items()} for values in kept]
    return stats.ranking(guides, truths)


def loss_guide(result: StudyTrials, condition: str) -> LossGuide | None:
    """Return what the loss alone, which needs no clean image, would have chosen among the study's own trials.

    None where there is nothing to rank, or the trials' losses differ in kind.
    """
    own = tuple(item for item in result.trials if item.trial.role in OWN)
    if len({item.trial.recipe.specs["loss"] for item in own}) != 1:
        return None
    guide = ranked_by_loss(finals(replace(result, trials=own), condition))
    samplers = {item.trial.recipe.specs["sampler"] for item in own}
    return LossGuide(**vars(guide), n_samplers=len(samplers)) if guide else None
