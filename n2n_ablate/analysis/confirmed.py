"""What a study said of its contrasts, beside what the confirmation said. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from n2n_ablate.analysis.answer import CONFIRMED_BEFORE, chosen_by_search, signed
from n2n_ablate.analysis.leading import shared_means
from n2n_ablate.analysis.trials import Line, StudyResult
from n2n_ablate.stats import Difference, welch_interval
from n2n_ablate.study import BASELINE


@dataclass(frozen=True)
class Pair:
    """One contrast, before and after.

    Attributes:
        name: Of the trial.
        best: True if it is no declared contrast: the search chose it.
        again: True if only an earlier command chose it, and tried it on these images.
        before: Its difference in the study's own trials; a plain interval unless it is declared.
        after: Its difference in the confirmation, whose intervals hold at once.
        verdict: Read off `after`; empty if it has no result that can be compared.
    """

    name: str
    best: bool
    before: Difference | None
    after: Difference | None
    verdict: str
    again: bool = False

    @property
    def mark(self) -> str:
        """Why it was confirmed, as tables print it; empty for a declared contrast."""
        return CONFIRMED_BEFORE if self.again else "search's best" if self.best else ""

    @property
    def shrinkage(self) -> float | None:
        """How much of the difference is gone, in dB: below 0 if it grew. None if one is missing.

        It is counted in the direction that the difference had before, so that a loss that shrinks
        is positive too. Both means are of different images: see `shrinkage_interval`.
        """
        found = self._shrinkage()
        return found[0] if found else None

    @property
    def shrinkage_interval(self) -> tuple[float, float] | None:
        """Ends of its plain 95 % interval (Welch); None where a stage has one image or no spread."""
        found = self._shrinkage()
        return found[1:] if found and math.isfinite(found[1]) else None

    def _shrinkage(self) -> tuple[float, float, float] | None:
        if self.before is None or self.after is None:
            return None
        gap, low, high = welch_interval(self.before.gaps, self.after.gaps)
        up = self.before.mean > 0 or (self.before.mean == 0 and self.after.mean > 0)
        return (gap, low, high) if up else (-gap, -high, -low)


def pairs(result: StudyResult, condition: str) -> list[Pair]:
    """Return the contrasts of a study's confirmation, in the order in which they were planned.

    Args:
        result: With its confirmation; without one there are no pairs.
        condition: Label of the noise.
    """
    if result.confirmed is None:
        return []
    before = _by_name(result, condition)
    after = _by_name(result.confirmed, condition)
    found = []
    for name in result.confirmed.plan.contrasts:
        line = after.get(name)
        if line is None:
            continue
        first = before.get(name)
        again = name in result.confirmed.plan.before
        best = name not in result.plan.contrasts and not again
        gap = first.difference if first else None
        found.append(Pair(name, best, gap, line.difference, line.verdict, again))
    return found


def _by_name(result: StudyResult, condition: str) -> dict[str, Line]:
    return {line.name: line for line in result.lines(condition) if line.role != "yardstick"}


def told_shrinkage(pair: Pair) -> str:
    """Return `+0.31 \u00b1 0.20` in print, empty without both results."""
    if pair.shrinkage is None:
        return ""
    ends = pair.shrinkage_interval
    return signed(pair.shrinkage) + (f" \u00b1 {(ends[1] - ends[0]) / 2:.2f}" if ends else "")


def unconfirmed(result: StudyResult) -> str:
    """Return how a study without a confirmation gets one; empty if there is nothing to say."""
    plan = result.plan
    if plan.effects or plan.profile.confirm is not None or result.confirmed is not None:
        return ""
    again = "the contrasts and the search's best" if plan.space else "the contrasts"
    return (
        f"Not confirmed: --confirm-images, or [confirm] in the study file, tries {again} again on "
        "images that no trial saw."
    )


def search_best(result: StudyResult) -> str:
    """Return what became of a search's best in the confirmation; empty if that is plain to see."""
    later = result.confirmed
    if later is None or not result.plan.space:
        return ""
    if chosen_by_search(result.plan, later.plan):
        return ""
    confirm = result.plan.profile.confirm
    if confirm is None or not confirm.top:
        return ""
    # What is confirmed is chosen by its mean over images and conditions, see `study.chosen`.
    labels = [condition.label for condition in result.plan.conditions]
    own = [x for x in result.trials if x.trial.role != "reference" and not x.failures]
    means = shared_means(own, labels)
    if BASELINE not in means:
        return "No trial of the search has all its results, so none of its own was confirmed."
    above = [name for name in result.plan.contrasts if means.get(name, -math.inf) > means[BASELINE]]
    search = "Apart from declared contrasts the search" if above else "The search"
    averaged = ", averaged over the conditions" if len(labels) > 1 else ""
    return f"{search} found nothing above the baseline{averaged}, so no trial of its own was confirmed."
