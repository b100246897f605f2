"""Where the uncertainty of a stage's contrasts comes from, pooled."""

from __future__ import annotations

import math
from collections.abc import Sequence

from n2n_ablate import stats
from n2n_ablate.analysis.condition_records import Buy, VarianceRecord
from n2n_ablate.analysis.paired import Rule
from n2n_ablate.analysis.records import Interval
from n2n_ablate.records import StudyTrials, TrialResult
from n2n_ablate.study import BASELINE

_HALF = 0.5  # of the variance of the mean: what seeds have to make for seeds to help


def variance(result: StudyTrials, condition: str, rule: Rule) -> VarianceRecord:
    """Return where the uncertainty of all declared contrasts, or effects, comes from."""
    metric = rule.metric.name
    if result.plan.effects:
        return _record(stats.components_of_effects(_halves(result, condition, metric)), rule)
    base = result.baseline.by_seed(metric, condition) if result.baseline else {}
    firsts = [item.by_seed(metric, condition) for item in result.contrasts]
    return _record(stats.components([first for first in firsts if first], base), rule)


def variance_of(
    first: TrialResult, second: TrialResult, condition: str, rule: Rule
) -> VarianceRecord:
    """Return the same of one pair of trials."""
    one, two = (item.by_seed(rule.metric.name, condition) for item in (first, second))
    return _record(stats.components([one], two), rule)


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


def _record(found: stats.VarianceComponents, rule: Rule) -> VarianceRecord:
    level = stats.Levels(rule.size).difference
    narrower = stats.narrowing(found.images, level)
    if not found.estimable:
        return VarianceRecord(
            _reason(found), found.images, found.seeds, found.contrasts, narrowing_images=narrower
        )
    if found.share_low < _HALF < found.share_high:
        code = Buy.UNKNOWN
    else:
        code = Buy.IMAGES if found.share < _HALF else Buy.SEEDS_TOO
    return VarianceRecord(
        code=code,
        n_images=found.images,
        n_seeds=found.seeds,
        n_contrasts=found.contrasts,
        sd_image=found.image,
        sd_seed=found.seed,
        sd_trial_image=found.trial_image,
        sd_trial_seed=found.trial_seed,
        seed_share=found.share,
        seed_share_interval=Interval(found.share_low, found.share_high, stats.LEVEL, "f"),
        narrowing_images=narrower,
        narrowing_seeds=1 - math.sqrt(1 - found.share / 2),
    )


def _reason(found: stats.VarianceComponents) -> Buy:
    if not found.contrasts:
        return Buy.NO_CONTRAST
    if not found.images:
        return Buy.NO_COMMON_IMAGE
    if found.images < 2:
        return Buy.ONE_IMAGE
    return Buy.ONE_SEED if found.seeds < 2 else Buy.NO_SPREAD
