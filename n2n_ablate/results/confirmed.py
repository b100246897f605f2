"""What a study said of its contrasts, beside what the confirmation said. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from n2n_ablate.results.trials import Line, StudyResult
from n2n_ablate.stats import Difference


@dataclass(frozen=True)
class Pair:
    """One contrast, before and after.

    Attributes:
        name: Of the trial.
        best: True if it is no declared contrast: the search chose it.
        before: Its difference in the study's own trials; with a plain interval if `best`.
        after: Its difference in the confirmation, whose intervals hold at once.
        verdict: Read off `after`; empty if it has no result that can be compared.
    """

    name: str
    best: bool
    before: Difference | None
    after: Difference | None
    verdict: str

    @property
    def shrinkage(self) -> float | None:
        """How much of the difference is gone: before minus after, in dB. None if one is missing."""
        if self.before is None or self.after is None:
            return None
        return self.before.mean - self.after.mean


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
        chosen = name not in result.plan.contrasts
        gap = first.difference if first else None
        found.append(Pair(name, chosen, gap, line.difference, line.verdict))
    return found


def _by_name(result: StudyResult, condition: str) -> dict[str, Line]:
    return {line.name: line for line in result.lines(condition) if line.role != "yardstick"}
