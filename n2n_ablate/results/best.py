"""Which recipe of a study to use: the baseline, unless a trial is better than it beyond doubt."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.part import Part, Value
from n2n_ablate.recipe import Recipe
from n2n_ablate.results.answer import baseline_name, shown
from n2n_ablate.results.trials import StudyResult, TrialResult
from n2n_ablate.study import BASELINE, Trial

_OWN = (BASELINE, "declared", "search")


@dataclass(frozen=True)
class Choice:
    """The recipe to use.

    Attributes:
        trial: With its recipe, every parameter written out.
        psnr: Its mean over images and conditions; NaN without a result.
        support: `confirmed` on images that nothing was chosen on, `declared` beforehand and better,
            or `baseline`.
        reasons: Why this one, and what else might have been taken, a sentence each.
        highest: Name of the trial with the highest mean, which need not be the one to use.
    """

    trial: Trial
    psnr: float
    support: str
    reasons: tuple[str, ...]
    highest: str = ""


def choose(result: StudyResult) -> Choice:
    """Return the recipe to use.

    It is the trial with the highest mean PSNR among those that are *better* than the baseline under
    some condition and *worse* under none. Where the study was confirmed on other images, the
    confirmation says what is better, else the verdicts of the declared contrasts. Without such a
    trial it is the baseline: the highest of several means is partly luck, and what cannot be told
    from the baseline is no reason to leave it.
    """
    confirmed = result.confirmed
    judge = confirmed or result
    whole = {item.trial.name: item for item in result.trials if item.trial.role in _OWN}
    means = {name: _mean(item) for name, item in whole.items() if not item.failures}
    highest = max(means, key=lambda name: means[name], default="")
    better = [name for name in _better(judge) if name in means]
    if better:
        name = max(better, key=lambda name: means[name])
        support = "confirmed" if confirmed else "declared"
        why = _supported(judge, name, support)
        if highest not in (name, BASELINE, ""):
            why.append(_passed_over(result, highest))
        return Choice(whole[name].trial, means[name], support, tuple(why), highest)
    mean = means.get(BASELINE, math.nan)
    why = _no_better(result, highest)
    return Choice(result.plan.baseline, mean, BASELINE, tuple(why), highest)


def toml(recipe: Recipe) -> str:
    """Return a recipe as the `[baseline]` of a study file."""
    lines = [f"{kind} = {_written(part)}" for kind, part in recipe.parts.items()]
    return "\n".join(["[baseline]", *lines])


def _better(judge: StudyResult) -> list[str]:
    words: dict[str, set[str]] = {}
    for condition in judge.plan.conditions:
        for line in judge.lines(condition.label):
            if line.verdict:
                words.setdefault(line.name, set()).add(line.verdict)
    return [name for name, own in words.items() if "better" in own and "worse" not in own]


def _supported(judge: StudyResult, name: str, support: str) -> list[str]:
    basis = {
        "confirmed": "confirmed on images and seeds that it was not chosen on",
        "declared": "declared before the study ran; not tried again on other images",
    }
    found = [
        f"{line.verdict} than the baseline under {condition.label} ({shown(line.difference)} dB)"
        if line.verdict == "better"
        else f"{line.verdict} under {condition.label} ({shown(line.difference)} dB)"
        for condition in judge.plan.conditions
        for line in judge.lines(condition.label)
        if line.name == name and line.verdict
    ]
    return [f"{name} is {'; '.join(found)}; {basis[support]}."]


def _no_better(result: StudyResult, highest: str) -> list[str]:
    if not highest:
        return ["No trial has all its results, so nothing speaks against the baseline."]
    what = "confirmed" if result.confirmed else "declared"
    own = baseline_name(result.plan)
    told = [f"No {what} contrast is better than the baseline ({own}) beyond doubt, so it stays."]
    base = result.baseline
    if base is not None and base.failures:
        told.append(f"But the baseline lost {base.failures} of its {len(base.rows)} fits.")
    if highest != BASELINE:
        told.append(_passed_over(result, highest))
    return told


def _passed_over(result: StudyResult, name: str) -> str:
    item = next(item for item in result.trials if item.trial.name == name)
    gaps = ", ".join(
        f"{shown(gap)} dB under {condition.label}"
        for condition in result.plan.conditions
        if (gap := result.gain(item, condition.label)) is not None
    )
    why = (
        "the best of a search, so optimistic"
        if item.trial.role == "search"
        else "which is not better beyond doubt"
    )
    more = f" against the baseline: {gaps}," if gaps else ","
    return f"{name} has the highest mean{more} {why}. --trial '{name}' takes it all the same."


def _mean(item: TrialResult) -> float:
    conditions: Sequence[str] = list(dict.fromkeys(row.condition for row in item.rows))
    return float(np.mean([item.mean("psnr", condition) for condition in conditions]))


def _written(value: Value) -> str:
    if isinstance(value, Part):
        inside = [f"name = {_written(value.name)}"]
        inside += [f"{key} = {_written(item)}" for key, item in value.parameters.items()]
        return f"{{ {', '.join(inside)} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, float):
        return repr(value)  # TOML writes inf and nan as Python does
    return json.dumps(value, ensure_ascii=False)  # basic strings of TOML escape as JSON does
