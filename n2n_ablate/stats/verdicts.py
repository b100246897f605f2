"""The rule that turns differences into verdicts. One family per study: contrasts times conditions.

With m members and an allowed error a, *better* and *worse* are read off the two-sided interval of
level 1 - a/m, *equivalent* off that of level 1 - 2a/m within +- margin, which is two one-sided tests
(Schuirmann, 1987) of level a/m each. Together they keep the chance of any false verdict of a study
at a, because per contrast only one of the errors can happen: where the true difference is zero,
equivalent is true and the two-sided test errs with a/m; where it is at the margin or beyond, a false
*equivalent* and a false verdict of the wrong sign are events on the same side, and the former holds
the latter: a/m again; in between only the wrong sign is false.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from n2n_ablate.stats.intervals import LEVEL, has_spread, limits, t_critical

INCONCLUSIVE, BETTER, WORSE, EQUIVALENT = 0, 1, -1, 2
"""Codes of verdicts in arrays."""


@dataclass(frozen=True)
class Levels:
    """Levels of both intervals of one member of a family."""

    size: int = 1  # of the family: contrasts times conditions, finished or not
    alpha: float = 1 - LEVEL  # allowed chance of any false verdict

    @property
    def difference(self) -> float:
        """Of the interval that decides better and worse."""
        return 1 - self.alpha / max(1, self.size)

    @property
    def equivalence(self) -> float:
        """Of the interval that decides equivalent."""
        return 1 - 2 * self.alpha / max(1, self.size)

    def critical(self, n: int) -> tuple[float, float]:
        """Return half-widths of both in standard errors of n values."""
        return t_critical(self.difference, n), t_critical(self.equivalence, n)


def decide(values: np.ndarray, critical: tuple[float, float], margin: float) -> np.ndarray:
    """Return the verdicts on differences, of which higher is better.

    Equivalent goes first: a difference that is real but too small to matter is no finding. Without a
    margin above zero nothing is equivalent.

    `values`: finite differences, one per independent unit, shape (..., n); `critical`: half-widths of both
    intervals in standard errors, see `Levels.critical`; `margin`: in units of the values. Codes, shape (...);
    inconclusive where values show no spread.
    """
    both = np.reshape(critical, (2, *(1,) * (values.ndim - 1)))
    (low, inner_low), (high, inner_high) = limits(values, both)
    signs = np.where(low > 0, BETTER, np.where(high < 0, WORSE, INCONCLUSIVE))
    inside = (inner_low >= -margin) & (inner_high <= margin) & (margin > 0)
    return np.where(inside, EQUIVALENT, signs)


def left_out(values: np.ndarray) -> np.ndarray:
    """Return values without each one of them in turn: shape (n,) to (n, n - 1)."""
    n = len(values)
    return values[np.nonzero(~np.eye(n, dtype=bool))[1]].reshape(n, n - 1)


def probability_within(values: np.ndarray, margin: float) -> float | None:
    """Return the probability that the true mean lies within +- margin.

    The posterior of a mean of normal values under a flat prior on mean and log spread: Student's t. None
    without spread, or a margin above zero.
    """
    if margin <= 0 or not has_spread(values):
        return None
    # On one side of zero: both ends are then lower tails, whose difference keeps its digits.
    n, mean = len(values), abs(float(values.mean()))
    error = float(values.std(ddof=1)) / math.sqrt(n)
    ends = special.stdtr(n - 1, [(margin - mean) / error, (-margin - mean) / error])
    return float(ends[0] - ends[1])


def t_test(values: np.ndarray) -> float | None:
    """Return the two-sided p of the paired t test; None without spread."""
    if not has_spread(values):
        return None
    n = len(values)
    t = abs(float(values.mean())) / float(values.std(ddof=1)) * math.sqrt(n)
    return float(2 * special.stdtr(n - 1, -t))


def holm(ps: Sequence[float], *, size: int = 0) -> list[float]:
    """Return p values adjusted by Holm's step-down method (Holm, 1979).

    `ps`: one per contrast, in any order; `size`: of the family; those not given count as if their p were 1.
    """
    declared = max(size, len(ps))
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(np.argsort(ps, kind="stable")):
        highest = max(highest, min(1.0, (declared - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted
