"""How to read the tables of a report, whose intervals are given by both ends."""

from __future__ import annotations

from collections.abc import Sequence

from n2n_ablate import stats
from n2n_ablate.analysis import Line, StudyResult
from n2n_ablate.analysis.answer import CONFIRMED_BEFORE
from n2n_ablate.analysis.compare import ONE_LOOK, Comparison
from n2n_ablate.analysis.confirmed import Pair
from n2n_ablate.analysis.effects import EffectLine
from n2n_ablate.analysis.settling import how_to_settle
from n2n_ablate.analysis.uneven import told_uneven


def of_trials(result: StudyResult, lines: Sequence[Line], condition: str) -> list[str]:
    """Return how to read the table of the trials of a condition."""
    known = [(line, line.difference.level) for line in lines if line.difference]
    if not known:
        return []
    asked = {level for line, level in known if _is_contrast(result, line)}
    others = {level for line, level in known if not _is_contrast(result, line)}
    told = [f"Interval: {_intervals(result, asked, others)}."]
    if result.confirmed is not None:
        told.append("Words are given to what is confirmed.")
    elif any(line.verdict for line in lines):
        told += [words(result.plan.study.margin), *_to_settle(result, lines)]
    return [*told, *told_uneven(result, condition)]


def of_effects(result: StudyResult, lines: Sequence[EffectLine]) -> list[str]:
    """Return how to read the table of the effects of a condition; empty for studies without."""
    plan = result.plan
    if not plan.effects:
        return []
    each = stats.family_level(len(plan.effects))
    told = [
        "Effect: change from the baseline's level, averaged over the levels of the other factors.",
        f"Interval: {_percents({each})} t interval over images{_at_once(len(plan.effects), 'effects')}.",
        words(plan.study.margin),
    ]
    if any(effect.order > 1 for effect in plan.effects):
        told.append("a x b: what both give together beyond the sum of each; additive: nothing.")
    return told + _to_settle(result, [line for line in lines if line.effect.order == 1])


def of_confirmation(result: StudyResult, pairs: Sequence[Pair], condition: str) -> list[str]:
    """Return how to read the table of a confirmation; empty without one."""
    later = result.confirmed
    if later is None:
        return []
    levels = {pair.after.level for pair in pairs if pair.after}
    told = [f"Interval: of the confirmation; {_intervals(later, levels, set())}."] if levels else []
    told += [words(result.plan.study.margin), *told_uneven(later, condition)]
    told += _to_settle(later, later.lines(condition))
    if any(pair.again for pair in pairs):
        told.append(
            f"{CONFIRMED_BEFORE.capitalize()}: an earlier command tried it on these images; the "
            "intervals allow for it, so they widen with every further trial that is confirmed on them."
        )
    before = "the search" if result.plan.space else "the trials"
    told.append(
        f"Before: mean difference in {before}{_before(pairs)}. Shrinkage: how much smaller the "
        "difference came out, in the direction that it had, \u00b1 95 % (Welch), as images and seeds are "
        "others; what was chosen for its lead loses some."
    )
    return told


def _before(pairs: Sequence[Pair]) -> str:
    """Return how wide the intervals of a study's own trials are: of contrasts, and of its best."""
    levels = {bool(pair.mark): _percents({pair.before.level}) for pair in pairs if pair.before}
    if not levels:
        return ""
    told = f", \u00b1 {next(iter(levels.values()))} t interval"
    if len(set(levels.values())) > 1:
        told = f", \u00b1 {levels[False]} t interval, {levels[True]} for the search's best"
    return told


def of_evidence(contrasts: Sequence[Comparison]) -> list[str]:
    """Return what a race makes of the p values beside the verdicts; empty without one."""
    return [f"Sign-flip p: {ONE_LOOK}."] if any(found.looks for found in contrasts) else []


def words(margin: float) -> str:
    """Return what the words of a verdict mean."""
    equal = f"equivalent: within \u00b1{margin:g} dB; " if margin > 0 else ""
    return f"Verdict: {equal}better, worse: excludes 0; {stats.UNDECIDED}: neither."


def _is_contrast(result: StudyResult, line: Line) -> bool:
    return line.role == "declared" and line.name in result.plan.contrasts


def _intervals(result: StudyResult, asked: set[float], others: set[float]) -> str:
    """Return the levels of a table's intervals: of the contrasts, and of what is none."""
    plain = f"{_percents(others)} t interval over images"
    if not asked or (asked == others and not result.looks):
        return plain if others else f"{_percents(asked)} t interval over images"
    kind = "repeated interval" if result.looks else "t interval"
    looks = "at every look" if result.looks else ""
    text = f"{_percents(asked)} {kind} over images"
    text += " for the contrasts" if others else ""
    text += _at_once(len(result.plan.contrasts), "contrasts", looks)
    return f"{text}; {_percents(others)} t interval for others" if others else text


def _at_once(size: int, what: str, looks: str = "") -> str:
    if size > 1:
        every = f", {looks}" if looks else ""
        return f", so that all {size} {what} hold at once{every}, at {_percents({stats.LEVEL})}"
    return f", which holds {looks}" if looks else ""


def _to_settle(result: StudyResult, lines: Sequence[Line | EffectLine]) -> list[str]:
    plan, found = result.plan, [(line.verdict, line.difference) for line in lines]
    told = how_to_settle(found, plan.study.margin, race=not plan.effects)
    return [f"{told[0].upper()}{told[1:]}"] if told else []


def _percents(levels: set[float]) -> str:
    return " and ".join(f"{100 * level:.4g} %" for level in sorted(levels))
