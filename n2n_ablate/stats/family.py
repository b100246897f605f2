"""Several contrasts of one study: intervals that hold together, and Holm's p beside them.

Every word of a family is read off a Bonferroni interval, of level 1 - alpha / m. These m intervals
hold their true differences all at once with probability 1 - alpha at least, and a false word of
any kind (better, worse, equivalent) needs an interval that misses, so alpha bounds the chance of a
single false word among all. Holm's step-down test finds a little more where many contrasts are
real, but its intervals do not hold together, it says nothing about `equivalent`, and a word would
change when another contrast's results come in. docs/explanation has the reasons with figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from n2n_ablate.stats.differences import LEVEL, Difference, paired


def family_level(size: int, level: float = LEVEL) -> float:
    """Return the level of each of `size` intervals that shall hold together at `level`."""
    return 1 - (1 - level) / max(1, size)


def family(
    firsts: Sequence[Mapping[str, float]],
    second: Mapping[str, float],
    *,
    level: float = LEVEL,
    size: int = 0,
) -> list[Difference | None]:
    """Compare several trials with one, with intervals that hold together.

    Args:
        firsts: Value per image of each trial, seeds averaged.
        second: Value per image of the trial that they are compared with.
        level: Of the family.
        size: Contrasts that were declared, finished or not; at least those given are counted.

    Returns:
        A difference for each trial in the order given, None if it shares no image.
    """
    each = family_level(max(size, len(firsts)), level)
    return [paired(first, second, level=each) for first in firsts]


def holm(ps: Sequence[float], *, size: int = 0) -> list[float]:
    """Return p values adjusted by Holm's step-down method (Holm, 1979).

    Args:
        ps: One per contrast, in any order.
        size: Contrasts that were declared; those not given count as if their p were 1.
    """
    declared = max(size, len(ps))
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(np.argsort(ps, kind="stable")):
        highest = max(highest, min(1.0, (declared - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted
