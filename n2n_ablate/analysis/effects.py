"""What the factors of a factorial study are worth, and whether their gains add up."""

from __future__ import annotations

from dataclasses import dataclass

from n2n_ablate import stats
from n2n_ablate.analysis.trials import StudyResult
from n2n_ablate.study import BASELINE, Effect

TOGETHER = {
    "better": "above the sum",
    "worse": "below the sum",
    "equivalent": "additive",
    stats.UNDECIDED: stats.UNDECIDED,
}
"""What a verdict says of an interaction, whose difference is that from the sum of two gains."""


@dataclass(frozen=True)
class EffectLine:
    """One effect under one condition.

    Attributes:
        effect: Which.
        difference: In dB, of the family of all effects; None if some cell has no result.
        verdict: `better`, `worse`, `equivalent` or `not distinguishable`; of an interaction a word
            of `TOGETHER`. Empty without a difference.
    """

    effect: Effect
    difference: stats.Difference | None
    verdict: str


def effects(result: StudyResult, condition: str) -> list[EffectLine]:
    """Return the effects of a factorial study, in the order of the plan; none for other designs.

    All intervals hold at once: each has its share of the allowed error.
    """
    declared = {
        item.trial.name: item.by_image("psnr", condition)
        for item in result.trials
        if item.trial.role in (BASELINE, "declared")
    }
    level = stats.family_level(len(result.plan.effects))
    return [_line(own, declared, level, result.plan.study.margin) for own in result.plan.effects]


def _line(
    own: Effect, cells: dict[str, dict[str, float]], level: float, margin: float
) -> EffectLine:
    if not all(name in cells for name in (*own.plus, *own.minus)):
        return EffectLine(own, None, "")
    plus, minus = ([cells[name] for name in names] for names in (own.plus, own.minus))
    difference = stats.effect(plus, minus, order=own.order, level=level)
    if difference is None:
        return EffectLine(own, None, "")
    verdict = difference.verdict(margin)
    return EffectLine(own, difference, verdict if own.order == 1 else TOGETHER[verdict])
