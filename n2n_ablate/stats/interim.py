"""Interim analyses: verdicts after every batch of images without paying for it in false findings.

Repeated confidence intervals (Jennison and Turnbull, 1989): at every analysis the intervals are a
little wider than those of a study of this size, so that all of them hold at once. A verdict read off
any of them is as safe as one at the end, and a contrast may be dropped once it is decided.

What has to be fixed before the first image: the most images, the size of the family, and the order
of the images, which must not depend on what they show. Sizes of later analyses may change, as long
as that does not depend on the differences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from n2n_ablate.stats.boundaries import critical_values, squared
from n2n_ablate.stats.intervals import LEVEL

_SHARES = (1 / 3, 1 / 2, 2 / 3, 5 / 6)
_FEWEST = 6


def sizes_for(n: int) -> tuple[int, ...]:
    """Return after how many of n images to analyse: from a third of them on, in steps of a sixth.

    Earlier analyses would be nearly useless (4 of 24 images have a critical value of 15 to 23), and
    each one costs later ones some of their power.

    Args:
        n: Images, or clusters of them, at least 2.
    """
    wanted = {max(_FEWEST, round(share * n)) for share in _SHARES}
    # A last batch of a single image would cost error and say next to nothing.
    return (*sorted(size for size in wanted if size < n - 1), n)


@dataclass(frozen=True)
class InterimDesign:
    """When to analyse, and how many verdicts share the allowed error.

    Attributes:
        sizes: Images at each analysis, rising, two or more at the first.
        size: Of the family: contrasts times conditions.
        alpha: Allowed chance of any false verdict of the family at any analysis.
    """

    sizes: tuple[int, ...]
    size: int = 1
    alpha: float = 1 - LEVEL

    def __post_init__(self) -> None:
        rising = list(self.sizes) == sorted(set(self.sizes))
        if not self.sizes or self.sizes[0] < 2 or not rising:
            msg = f"interim analyses at {self.sizes} images: sizes must rise from 2 or more; (4, 8, 16) works"
            raise ValueError(msg)

    def critical(self, before: tuple[int, ...], n: int, *, last: bool) -> tuple[float, float]:
        """Return half-widths of both intervals in standard errors, for differences and equivalence.

        Args:
            before: Images that the contrast had at each earlier analysis, where that was not as
                planned because fits failed. One that had no more than the one before it spent no
                error and does not count.
            n: Images that it has now.
            last: Whether no further analysis is planned: what is left of the error is spent then.

        Returns:
            Infinite if there are no more images than before, or more than planned.
        """
        earlier = _rising(before)
        if n < 2 or n > self.sizes[-1] or (earlier and n <= earlier[-1]):
            return math.inf, math.inf
        share = self.alpha / max(1, self.size)
        both = (
            _critical((*earlier, n), self.sizes[-1], error, last) for error in (share, 2 * share)
        )
        difference, equivalence = both
        return difference, equivalence

    def planned(self) -> list[tuple[float, float]]:
        """Return these half-widths for every analysis, all as planned."""
        return [
            self.critical(self.sizes[:index], n, last=n == self.sizes[-1])
            for index, n in enumerate(self.sizes)
        ]


def _critical(sizes: tuple[int, ...], most: int, error: float, last: bool) -> float:
    spent = [squared(size / most, error) for size in sizes]
    if last:
        spent[-1] = error
    return critical_values(sizes, tuple(spent))[-1]


def _rising(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of the analyses that had new images and an interval."""
    kept: list[int] = []
    for size in sizes:
        if size > (kept[-1] if kept else 1):
            kept.append(size)
    return tuple(kept)
