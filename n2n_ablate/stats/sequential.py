"""Looking at a contrast after every batch of images without paying for it in false findings.

Repeated confidence intervals (Jennison and Turnbull, 1989): at every look the interval is a little
wider than that of a study of this size, so that all intervals of a contrast hold its true
difference at all looks together. A word read off any of them is as safe as one at the end, and a
contrast may be dropped from the race once it is settled, at any look, for any reason.

    looks = Looks(sizes=(4, 8, 16, 24), contrasts=3)
    found = looks.look(1, arm, baseline, margin=0.05)     # after the first 4 images
    if found.settled: ...                                  # spend the rest on other arms

What has to be fixed before the first image: the most images, the number of contrasts, and the
order of the images. Sizes of later looks may change, as long as that does not depend on what the
differences showed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from n2n_ablate.stats.boundaries import Spending, critical_values, squared
from n2n_ablate.stats.differences import LEVEL, UNDECIDED, Difference, paired
from n2n_ablate.stats.family import family_level


@dataclass(frozen=True)
class Look:
    """What one look at one contrast gives.

    Attributes:
        number: From 1.
        difference: With the repeated confidence interval: `low`, `high`, `half_width`.
        verdict: `better`, `worse`, `equivalent` or `not distinguishable`.
        last: True if no further look is planned.
        sizes: Images at each look as planned.
    """

    number: int
    difference: Difference
    verdict: str
    last: bool
    sizes: tuple[int, ...]

    @property
    def settled(self) -> bool:
        """True if there is a word: the contrast needs no more images."""
        return self.verdict != UNDECIDED


@dataclass(frozen=True)
class Looks:
    """When to look, and at how many contrasts.

    Attributes:
        sizes: Images seen at each look, rising, two or more at the first. (4, 8, 16, 24)
        contrasts: Declared, finished or not: each gets its share of the allowed error.
        level: Of all intervals of all contrasts at all looks together.
        spending: How the error is spent over the looks.
    """

    sizes: tuple[int, ...]
    contrasts: int = 1
    level: float = LEVEL
    spending: Spending = squared

    def __post_init__(self) -> None:
        rising = list(self.sizes) == sorted(set(self.sizes))
        if not self.sizes or self.sizes[0] < 2 or not rising:
            msg = f"looks at {self.sizes} images: sizes must rise from 2 or more; (4, 8, 16) works"
            raise ValueError(msg)

    @property
    def critical(self) -> tuple[float, ...]:
        """Half-widths of the intervals in standard errors, if every look has its planned size."""
        return self._critical(self.sizes, last=True)

    def look(
        self,
        number: int,
        first: Mapping[str, float],
        second: Mapping[str, float],
        *,
        margin: float,
        before: Sequence[int] = (),
    ) -> Look | None:
        """Compare two trials at a look.

        Args:
            number: Of the look, from 1.
            first: Value per image seen so far, seeds averaged.
            second: The same of the trial that it is compared with.
            margin: Differences within +- margin are equivalent.
            before: Images that both trials had at each earlier look, where that was not as
                planned; e.g. because fits failed. A look that had no more images than the one
                before it spent no error and does not count.

        Returns:
            None if no image is in both. If there are no more images than at the look before, or
            more than planned, the interval is infinite and nothing is settled by it.

        Raises:
            ValueError: There is no look of that number.
        """
        if not 1 <= number <= len(self.sizes):
            msg = f"look {number}: there are looks 1 to {len(self.sizes)}"
            raise ValueError(msg)
        difference = paired(first, second, level=family_level(self.contrasts, self.level))
        if difference is None:
            return None
        earlier = tuple(before) if before else self.sizes[: number - 1]
        critical = self._critical_now(earlier, difference.n, last=number == len(self.sizes))
        difference = replace(difference, critical=critical)
        verdict, last = difference.verdict(margin), number == len(self.sizes)
        return Look(number, difference, verdict, last, self.sizes)

    def _critical_now(self, earlier: tuple[int, ...], n: int, *, last: bool) -> float:
        earlier = _rising(earlier)
        if n < 2 or n > self.sizes[-1] or (earlier and n <= earlier[-1]):
            return math.inf
        sizes = (*earlier, n)
        if sizes == self.sizes[: len(sizes)] and last == (len(sizes) == len(self.sizes)):
            return self.critical[len(earlier)]
        return self._critical(sizes, last=last)[-1]

    def _critical(self, sizes: tuple[int, ...], *, last: bool) -> tuple[float, ...]:
        alpha = 1 - family_level(self.contrasts, self.level)
        spent = [self.spending(size / self.sizes[-1], alpha) for size in sizes]
        if last:  # what is left is spent even where images were lost
            spent[-1] = alpha
        return critical_values(sizes, tuple(spent))


def _rising(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of the looks that saw something new and had an interval."""
    found: list[int] = []
    for size in sizes:
        if size > (found[-1] if found else 1):
            found.append(size)
    return tuple(found)
