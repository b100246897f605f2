"""Effects of a factorial design, paired by image over its cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from n2n_ablate.stats.differences import LEVEL, Difference, paired


def effect(
    plus: Sequence[Mapping[str, float]],
    minus: Sequence[Mapping[str, float]],
    *,
    order: int = 1,
    level: float = LEVEL,
) -> Difference | None:
    """Compare the means of two halves of a factorial on every image.

    A main effect is the mean over all cells with the changed level less that over the cells that
    differ from them in nothing but this level. An interaction of two factors is what both changes
    give together beyond the sum of what each gives alone: the cells with both or neither less those
    with one, times two.

    An image that is missing in one cell is left out. Of a main effect it counts as lost by that
    half, of an interaction by both, which have no good side: nothing is said of it then.

    Args:
        plus: Value per image of each cell, seeds averaged.
        minus: The same; as many.
        order: Factors that change: 1 or 2.
        level: Coverage of the interval.

    Returns:
        None if no image is in all cells.
    """
    found = paired(_mean(plus, order), _mean(minus, order), level=level)
    if found is None or order == 1:
        return found
    lost = found.lost + found.other_lost
    return replace(found, lost=lost, other_lost=lost)


def _mean(cells: Sequence[Mapping[str, float]], scale: int) -> dict[str, float]:
    images = [image for image in cells[0] if all(image in cell for cell in cells)] if cells else []
    return {
        image: scale * math.fsum(cell[image] for cell in cells) / len(cells) for image in images
    }
