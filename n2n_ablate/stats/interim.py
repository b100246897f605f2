"""Interim analyses: verdicts after every batch of images without paying for it in false findings.

Repeated confidence intervals (Jennison and Turnbull, 1989): at every analysis the intervals are a
little wider than those of a study of this size, so that all of them hold at once. A verdict read off
any of them is as safe as one at the end, and a contrast may be dropped once it is decided.

What has to be fixed before the first image: the sizes, the size of the family, and the order of the
images, which must not depend on what they show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

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
    """When to analyse, and how many verdicts share the allowed error."""

    sizes: tuple[int, ...]  # images at each analysis, rising, two or more at the first
    size: int = 1  # of the family: contrasts times conditions
    alpha: float = 1 - LEVEL  # allowed chance of any false verdict of the family at any analysis

    def __post_init__(self) -> None:
        rising = list(self.sizes) == sorted(set(self.sizes))
        if not self.sizes or self.sizes[0] < 2 or not rising:
            msg = f"interim analyses at {self.sizes} images: sizes must rise from 2 or more; (4, 8, 16) works"
            raise ValueError(msg)

    @cached_property
    def critical(self) -> tuple[tuple[float, float], ...]:
        """Half-widths of both intervals at every analysis, in standard errors: difference, equivalence."""
        share = self.alpha / max(1, self.size)
        both = [_critical(self.sizes, error) for error in (share, 2 * share)]
        return tuple(zip(*both, strict=True))


@lru_cache(maxsize=256)
def _critical(sizes: tuple[int, ...], error: float) -> tuple[float, ...]:
    return critical_values(sizes, tuple(squared(size / sizes[-1], error) for size in sizes))
