"""Which recipe of a study to use: the baseline, unless a trial is better than it beyond doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.analysis.answer import baseline_lost, baseline_name, shown
from n2n_ablate.analysis.leading import leader
from n2n_ablate.analysis.settling import listed
from n2n_ablate.analysis.trials import OWN, StudyResult, TrialResult
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import toml as as_toml
from n2n_ablate.stats import UNDECIDED, counted, paired
from n2n_ablate.study import BASELINE, Trial

_JOINED = {"better": "than", "worse": "than", "equivalent": "to", UNDECIDED: "from"}


@dataclass(frozen=True)
class Choice:
    """The recipe to use.

    Attributes:
        trial: With its recipe, every parameter written out.
        psnr: Its mean over images and conditions, those of the confirmation where there is one;
            NaN without a result.
        images: That this mean is over, under each condition.
        support: `confirmed` on images that nothing was chosen on, `declared` beforehand and better,
            or `baseline`.
        reasons: Why this one, and what else might have been taken, a sentence each.
        highest: Name of the trial with the highest mean in the study's own trials, which need not
            be the one to use.
    """

    trial: Trial
    psnr: float
    images: int
    support: str
    reasons: tuple[str, ...]
    highest: str = ""


def choose(result: StudyResult) -> Choice:
    """Return the recipe to use.

    Candidates are trials that are *better* than the baseline under some condition and *worse* under
    none. Where the study was confirmed on other images, the confirmation says what is better, else
    the verdicts of the declared contrasts. Of several candidates it is the one with the highest
    mean PSNR there, on the images that all of them have: a race gives them different ones. Without
    a candidate it is the baseline: the highest of several means is partly luck, and what cannot be
    told from the baseline is no reason to leave it.
    """
    confirmed = result.confirmed
    judge = confirmed or result
    conditions = [condition.label for condition in result.plan.conditions]
    whole = {
        item.trial.name: item
        for item in result.trials
        if item.trial.role in OWN and not item.failures
    }
    highest = leader(list(whole.values()), conditions)
    words = _better(judge)
    better = {
        item.trial.name: item
        for item in judge.trials
        if item.trial.name in words and item.trial.name in whole and not item.failures
    }
    name = leader(list(better.values()), conditions)
    if name:
        support = "confirmed" if confirmed else "declared"
        why = [*_supported(judge, name, support), *_rivals(better, name, conditions)]
        if highest not in (*better, BASELINE, ""):
            why.append(_passed_over(result, judge, highest))
        mean, images = _mean(better[name], conditions)
        return Choice(whole[name].trial, mean, images, support, tuple(why), highest)
    mean, images = _mean(judge.baseline or result.baseline, conditions)
    why = _no_better(result, judge, highest)
    return Choice(result.plan.baseline, mean, images, BASELINE, tuple(why), highest)


def toml(recipe: Recipe) -> str:
    """Return a recipe as the `[baseline]` of a study file."""
    lines = [f"{kind} = {as_toml(part)}" for kind, part in recipe.specs.items()]
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
    return [f"{name} is {'; '.join(_words(judge, name))}; {basis[support]}."]


def _words(judge: StudyResult, name: str) -> list[str]:
    """Return the words on a contrast with the intervals that they are read off, by condition."""
    return [
        f"{line.verdict} {_JOINED[line.verdict]} the baseline under {condition.label} "
        f"({shown(line.difference)} dB)"
        for condition in judge.plan.conditions
        for line in judge.lines(condition.label)
        if line.name == name and line.verdict
    ]


def _rivals(
    better: Mapping[str, TrialResult], chosen: str, conditions: Sequence[str]
) -> Iterator[str]:
    """Tell of the other trials that are better, and how far the chosen one is ahead of each."""
    for name, item in better.items():
        ahead = [
            f"{shown(gap)} dB on the {counted(gap.n, 'image')} that both have under {condition}"
            for condition in conditions
            if name != chosen
            and (
                gap := paired(*(own.by_image("psnr", condition) for own in (better[chosen], item)))
            )
        ]
        if ahead:
            yield (
                f"{name} is better than the baseline too; against it {chosen} has "
                f"{', '.join(ahead)} (plain 95 % interval)."
            )


def _no_better(result: StudyResult, judge: StudyResult, highest: str) -> list[str]:
    own, base, lost = baseline_name(result.plan), judge.baseline, _without_baseline(judge)
    if len(lost) == len(judge.plan.conditions):
        where = " in the confirmation" if result.confirmed else ""
        how = f"{next(iter(lost.values()))}{where}"
        told = [f"The baseline ({own}) {how}, so nothing can be compared with it."]
        told.append("Its recipe is given because no other is better beyond doubt.")
    elif not highest:
        return ["No trial has all its results, so nothing speaks against the baseline."]
    else:
        what = "confirmed" if result.confirmed else "declared"
        told = [
            f"No {what} contrast is better than the baseline ({own}) beyond doubt, so it stays."
        ]
        if base is not None and base.failures:
            nothing = f", so nothing can be compared under {listed([*lost])}" if lost else ""
            told.append(
                f"But the baseline lost {base.failures} of its {len(base.rows)} fits{nothing}."
            )
    if not highest:
        told.append("No trial has all its results.")
    elif highest != BASELINE:
        told.append(_passed_over(result, judge, highest))
    return told


def _without_baseline(judge: StudyResult) -> dict[str, str]:
    """Return the conditions under which nothing can be compared, and how the baseline failed there."""
    labels = [condition.label for condition in judge.plan.conditions]
    return {label: how for label in labels if (how := baseline_lost(judge, label))}


def _passed_over(result: StudyResult, judge: StudyResult, name: str) -> str:
    """Say what is known of the trial with the highest mean, from the stage that has the word."""
    item = next(item for item in result.trials if item.trial.name == name)
    words = _words(judge, name)
    tried = any(own.trial.name == name for own in judge.trials)
    if words:
        why = f"{'confirmed, ' if result.confirmed else ''}it is {'; '.join(words)}"
    elif tried and len(_without_baseline(judge)) == len(judge.plan.conditions):
        why = "it cannot be compared, the baseline failed"
    else:
        gaps = ", ".join(
            f"{shown(gap)} dB under {condition.label}"
            for condition in result.plan.conditions
            if (gap := result.gain(item, condition.label)) is not None
        )
        search = item.trial.role == "search"
        why = f"{gaps}, " if gaps else ""
        why += "the best of a search, so optimistic" if search else "no contrast that has a verdict"
    where = "of the study's own trials" if result.confirmed else "of all trials"
    return f"{name} has the highest mean {where}: {why}. --trial '{name}' takes it all the same."


def _mean(item: TrialResult | None, conditions: Sequence[str]) -> tuple[float, int]:
    """Return a trial's mean PSNR and the images that it is over; NaN if it lost a fit."""
    if item is None or item.failures:
        return math.nan, 0
    images = min(len(item.by_image("psnr", condition)) for condition in conditions)
    return float(np.mean([item.mean("psnr", condition) for condition in conditions])), images
