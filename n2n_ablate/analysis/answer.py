"""Puts results into words: the answer with its scope."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from n2n_ablate.analysis.effects import TOGETHER, EffectLine, effects
from n2n_ablate.analysis.header import Header
from n2n_ablate.analysis.leading import leader, shared_images, shared_means
from n2n_ablate.analysis.settling import caveats, ends, listed, shared_caveat, unsettled
from n2n_ablate.analysis.trials import OWN, Line, StudyResult, TrialResult
from n2n_ablate.stats import UNDECIDED, VERDICTS, Difference, counted
from n2n_ablate.study import BASELINE, Plan

_FEW = 3  # contrasts that a sentence can carry with their numbers; the table has them all
_MINUS = "\u2212"
_FOUND = "the search's best "
CONFIRMED_BEFORE = "confirmed before"
_NOTHING = "No contrast has a result yet"


def signed(value: float, digits: int = 2) -> str:
    """Return `+0.12` or, with a real minus sign, the negative; never a negative zero."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "+" if float(text) == 0 else _MINUS)


def shown(difference: Difference | None) -> str:
    """Return `-0.50 +- 0.22` in print; what takes the interval's place where there is none."""
    if difference is None:
        return ""
    if not math.isfinite(difference.half_width):
        return f"{signed(difference.mean)} ({'n=1' if difference.n == 1 else 'all equal'})"
    return f"{signed(difference.mean)} \u00b1 {difference.half_width:.2f}"


def best(result: StudyResult, condition: str) -> Line | None:
    """Return the line with the highest mean PSNR among the study's own trials without a failure.

    The means are over the images that all of these have, see `shared_means`.
    """
    name = leader(_whole(result, condition), [condition])
    return next((line for line in result.lines(condition) if line.name == name), None)


def _whole(result: StudyResult, condition: str) -> list[TrialResult]:
    """Return the study's own trials that lost no fit under a condition."""
    return [
        item
        for item in result.trials
        if item.trial.role in OWN
        and math.isfinite(item.mean("psnr", condition))
        and not any(row.result.failure for row in item.rows if row.condition == condition)
    ]


def baseline_lost(result: StudyResult, condition: str) -> str:
    """Return how the baseline failed if it has no image left to compare with, else an empty text."""
    base = result.baseline
    rows = [row for row in base.rows if row.condition == condition] if base else []
    values = base.by_image("psnr", condition).values() if base else ()
    if not rows or any(map(math.isfinite, values)):
        return ""
    every = all(row.result.failure for row in rows)
    return "lost all its fits" if every else "lost a fit on every image"


def scope(header: Header, condition: str, given: int = 0) -> str:
    """Return what an answer holds for: samplers rank differently at other sizes and budgets.

    Args:
        header: What the trials share.
        condition: Label of the noise.
        given: Images that it rests on, if not all.
    """
    sizes = {image.shape[-2:] for image in header.images}
    heights, widths = zip(*sizes, strict=True)
    exact = f"{heights[0]}x{widths[0]} pixels"
    size = exact if len(sizes) == 1 else f"{min(heights)}x{min(widths)} pixels and larger"
    seeds = len(header.plan.profile.seeds)
    each = counted(seeds, "seed")
    count = len(header.images)
    images = counted(count, "image")
    images = f"{given} of {images}" if 0 < given < count else images
    return f"{images} of {size}, {header.steps} steps, {each}, {condition}"


def rests_on(result: StudyResult, condition: str) -> int:
    """Return the most images that a difference of the answer is over; 0 without a difference."""
    if result.plan.effects:
        gaps = [line.difference for line in effects(result, condition)]
    else:
        gaps = [result.gain(item, condition) for item in result.contrasts]
    return max((gap.n for gap in gaps if gap), default=0)


def sentence(result: StudyResult, header: Header, condition: str) -> str:
    """Return one plain sentence that answers the study's question under a condition.

    Where there is a confirmation it speaks of that alone: only what is confirmed is a finding.
    """
    if result.confirmed is not None and header.confirmed is not None:
        found = chosen_by_search(result.plan, result.confirmed.plan)
        told = _sentence(result.confirmed, header.confirmed, condition, found)
        never = "images and seeds that " + ("the search" if result.plan.space else "no trial")
        tried = "Tried again" if baseline_lost(result.confirmed, condition) else "Confirmed"
        return f"{tried} on {never} never saw: {told[0].lower()}{told[1:]}".replace(
            "no trial never", "no trial ever"
        )
    told = _sentence(result, header, condition, ())
    nothing = told.startswith(_NOTHING) or baseline_lost(result, condition)
    return told if nothing else f"{told[:-1]}; not confirmed."


def _sentence(result: StudyResult, header: Header, condition: str, found: Sequence[str]) -> str:
    plan = result.plan
    given = max((len(item.given(condition)) for item in result.trials), default=0)
    where = scope(header, condition, rests_on(result, condition) or given)
    if plan.effects:
        return f"{_effects(effects(result, condition), plan.study.margin)}; {where}."
    base, margin = baseline_name(plan), plan.study.margin
    if how := baseline_lost(result, condition):
        return f"The baseline ({base}) {how}, so nothing can be compared; {where}."
    lines = {line.name: line for line in result.lines(condition)}
    declared = [lines[name] for name in plan.contrasts if name in lines]
    asked = [line for line in declared if line.difference]
    unstable = BASELINE in lines and lines[BASELINE].failures > 0
    lost = [line for line in declared if not line.difference and (line.failures or unstable)]
    if not asked and not lost:
        return f"{_NOTHING} ({where})."
    names = {
        line.name: f"{_FOUND if line.name in found else ''}{_short(line.name, plan)}"
        + (f" ({CONFIRMED_BEFORE})" if line.name in plan.before else "")
        for line in declared
    }
    once = ""
    if len(asked) <= _FEW + len(found):
        once = shared_caveat(line.difference for line in asked)
        told = [
            f"{names[line.name]} is {_verdict(line, margin, once)}{_after(result, line, condition)}"
            for line in asked
        ]
    else:
        told = [_grouped(asked, plan, names)]
    told += [f"{names[line.name]} has no result that can be compared" for line in lost]
    where = f"{once}; {where}" if once else where
    return f"Against the baseline ({base}), {listed(told)}; {where}."


def _after(result: StudyResult, line: Line, condition: str) -> str:
    """Return after how many images a race settled a contrast, or left it open."""
    look = result.looks.get((condition, line.name))
    if look is None:
        return ""
    if not look.settled:
        return f", open after {line.images} images"
    return f", settled after {look.sizes[look.number - 1]} images"


def best_sentence(result: StudyResult, condition: str) -> str:
    """Return which trial came out highest, and what that is worth."""
    line = best(result, condition)
    if line is None:
        return "No trial has all its results: every one lost a fit."
    whole = _whole(result, condition)
    mean = shared_means(whole, [condition])[line.name]
    shared, given = len(shared_images(whole, condition)), line.difference
    uneven = any(len(item.by_image("psnr", condition)) > shared for item in whole)
    apart = given is not None and given.n != shared  # the difference is over other images
    where = f" over {shared} images" if apart else ""
    where = f" over the {shared} images that all trials have" if uneven else where
    text = f"Highest mean PSNR{where}: {line.name} with {mean:.2f} dB"
    if line.role == BASELINE:
        return f"{text}; no trial beat the baseline's mean."
    if given is None:
        return f"{text}; it cannot be compared, the baseline {baseline_lost(result, condition)}."
    own = f" over {given.n}" if apart else ""
    told = f"{text}, {shown(given)} dB against the baseline{own}"
    if line.role == "search":
        told += " (the best of a search, so optimistic)"
    return f"{told}."


def chosen_by_search(plan: Plan, later: Plan) -> list[str]:
    """Return the contrasts of a confirmation that the search chose, and no earlier command."""
    return [name for name in later.contrasts if name not in (*plan.contrasts, *later.before)]


def failures(result: StudyResult) -> str:
    """Return how many fits failed and why, empty if none did."""
    trials = [*result.trials, *(result.confirmed.trials if result.confirmed else ())]
    lost = [row for item in trials for row in item.rows if row.result.failure]
    if not lost:
        return ""
    first = lost[0]
    total = sum(len(item.rows) for item in trials)
    return (
        f"{len(lost)} of {total} fits failed; their images are left out of the trial's figures. "
        f"First: {first.image}, seed {first.seed}: {first.result.failure}"
    )


def reused(result: StudyResult) -> str:
    """Return how many fits were in the store before, by whatever study; empty if none were."""
    trials = [*result.trials, *(result.confirmed.trials if result.confirmed else ())]
    count = sum(item.reused for item in trials)
    total = sum(len(item.rows) for item in trials)
    return f"{count} of {total} fits were in the store and not trained again." if count else ""


def baseline_name(plan: Plan) -> str:
    """Return the baseline by its place among the factors, e.g. `sampler.center=0.01`."""
    values = plan.baseline.values
    return ", ".join(f"{key}={value}" for key, value in values.items()) or BASELINE


def _verdict(line: Line, margin: float, known: str) -> str:
    found = line.difference
    if line.verdict != UNDECIDED or found is None:
        return f"{line.verdict} ({shown(found)} dB)"
    return f"{UNDECIDED} from it ({shown(found)} dB{_open(found, margin, known)})"


def _open(found: Difference, margin: float, known: str) -> str:
    """Return why there is no word, unless that is `known`, or what would give one."""
    more = "" if known else found.caveat or unsettled({"": found}, margin)
    return f"; {more}" if more else ""


def _effects(found: Sequence[EffectLine], margin: float) -> str:
    """Return main effects with their numbers, then which pairs of changes do not add up."""
    once = shared_caveat(line.difference for line in found)
    told = [_effect(line, margin, once) for line in found if line.effect.order == 1]
    text = f"Averaged over the other factors, {listed(told)}" if told else ""
    pairs = [line for line in found if line.effect.order > 1]
    groups = []
    for word in (*TOGETHER.values(), ""):
        own = [line for line in pairs if line.verdict == word]
        names = listed(
            [f"{line.effect.name} ({shown(line.difference)} dB)" for line in own] or [""]
        )
        if own and word == UNDECIDED:
            names = f"{len(own)} of {len(pairs)}"
        said = word if word != UNDECIDED else f"{UNDECIDED} from additive"
        groups += [f"{names} {'is' if len(own) == 1 else 'are'} {said or 'without result'}"] * any(
            own
        )
    parts = (text, f"of pairs, {listed(groups)}" if groups else "", once)
    return "; ".join(filter(None, parts))


def _effect(line: EffectLine, margin: float, known: str) -> str:
    found = line.difference
    if found is None:
        return f"{line.effect.name} has no result that can be compared"
    more = _open(found, margin, known) if line.verdict == UNDECIDED else ""
    return f"{line.effect.name} is {line.verdict} ({shown(found)} dB{more})"


def _grouped(asked: Sequence[Line], plan: Plan, names: Mapping[str, str]) -> str:
    """Return many contrasts by their words, with the numbers of the outermost where they are many."""
    groups = []
    for verdict in VERDICTS:
        own = {names[x.name]: x.difference for x in asked if x.verdict == verdict and x.difference}
        if not own:
            continue
        verb = "is" if len(own) == 1 else "are"
        if verdict == UNDECIDED:
            open_ = {name: gap for name, gap in own.items() if not gap.caveat}
            more = [unsettled(open_, plan.study.margin), *caveats(own)]
            told = f"({'; '.join(filter(None, more))})" if any(more) else ""
            groups.append(f"{listed([*own])} {verb} {verdict} {told}".rstrip())
        elif len(own) <= _FEW:
            each = [f"{name} ({shown(gap)} dB)" for name, gap in own.items()]
            groups.append(f"{listed(each)} {verb} {verdict}")
        else:
            means = {name: gap.mean for name, gap in own.items()}
            groups.append(f"{listed([*own])} {verb} {verdict} ({ends(means, _dB)})")
    return "; ".join(groups)


def _dB(value: float) -> str:
    return f"{signed(value)} dB"


def _short(name: str, plan: Plan) -> str:
    keys = {factor.key for factor in plan.study.factors}
    key, equals, value = name.partition("=")
    return value if equals and len(keys) == 1 and key in keys else name
