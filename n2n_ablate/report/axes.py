"""Which parameters of a study are axes that results can be drawn along."""

from __future__ import annotations

from collections.abc import Sequence

from n2n_ablate.part import Value
from n2n_ablate.results import Line, StudyResult

_OWN = ("declared", "search")


def numeric(result: StudyResult, lines: Sequence[Line]) -> tuple[list[str], list[Line]]:
    """Return the factors if all of them are numbers, and the trials that have a place on each.

    A study that varies one factor at a time has one axis per factor and no surface between them.
    """
    study = result.plan.study
    keys = [factor.key for factor in study.factors]
    own = [line for line in lines if line.role in _OWN and line.difference]
    placed = [line for line in own if all(place(line.values.get(key)) is not None for key in keys)]
    crossed = study.design in ("search", "grid") or len(keys) == 1
    return (keys, placed) if crossed and placed and len(placed) == len(own) else ([], [])


def place(value: Value | object) -> float | None:
    """Return a value as a place on an axis, None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
