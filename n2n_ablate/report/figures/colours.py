"""Which colour a trial has: the same in every figure that it is in."""

from __future__ import annotations

from collections.abc import Iterable

PALETTE = (
    *("#2b7bba", "#e07b24", "#23945a", "#b5519c", "#8c6d46", "#3aa6a6", "#d3504f"),
    *("#8168c2", "#a3a032", "#e48bb0"),
)
"""Of middle brightness, so that they can be read on white and on black."""


def of_trials(baseline: str, others: Iterable[str]) -> dict[str, str]:
    """Return a colour by name of trial: black for the baseline, after ten others they repeat."""
    names = [name for name in dict.fromkeys(others) if name != baseline]
    own = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(names)}
    return {baseline: "black", **own}
