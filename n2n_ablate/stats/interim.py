"""Interim analyses: verdicts after every batch of images without paying for it in false findings.

Repeated confidence intervals (Jennison and Turnbull, 1989): at every analysis the intervals are a
little wider than those of a study of this size, so that all of them hold at once. A verdict read off
any of them is as safe as one at the end, and a contrast may be dropped once it is decided. What has to
be fixed before the first image: the sizes, the size of the family, and the order of the images, which
must not depend on what they show.

Spending functions as in Lan and DeMets (1983): at every analysis a share of the allowed error is
spent, which depends only on the share of the images seen. The critical values of the textbooks
are for normal statistics; used with few images on the t scale they spend up to a fifth too much.
Here the recursion is done for t itself (compare Jennison and Turnbull, 1991).

It rests on u = sum(x) / sqrt(sum(x**2)), the t statistic in another form. Under the null
hypothesis the direction of the vector x is independent of its length, so u is a Markov chain:
with T from Student's t with n degrees of freedom,

    u(n+1) = (u(n) + T / sqrt(n)) / sqrt(1 + T**2 / n)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import optimize, stats

from n2n_ablate.stats.intervals import LEVEL

_CELLS = 160  # critical values come out within 0.3 % up to a hundred images
_FARTHEST = 6.0  # in standard deviations; what lies beyond has a chance of 2e-9
_SHARES = (1 / 3, 1 / 2, 2 / 3, 5 / 6)
_FEWEST = 6


def sizes_for(n: int) -> tuple[int, ...]:
    """Return after how many of n images to analyse: from a third of them on, in steps of a sixth.

    Earlier analyses would be nearly useless (4 of 24 images have a critical value of 15 to 23), and
    each one costs later ones some of their power.

    `n`: images, or clusters of them, at least 2.
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
        # The square of the share of images, as in Kim and DeMets (1987).
        shares = [(size / self.sizes[-1]) ** 2 for size in self.sizes]
        both = [
            critical_values(self.sizes, tuple(error * each for each in shares))
            for error in (share, 2 * share)
        ]
        return tuple(zip(*both, strict=True))


@lru_cache(maxsize=256)
def critical_values(sizes: tuple[int, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """Return the critical value of the t statistic for each interim analysis.

    With them the chance that |t| of normal data with true mean zero exceeds its critical value at
    any of them is what was spent, so intervals of this width hold the true mean at all of them.

    `sizes`: images at each analysis so far, rising, the first at least 2; `spent`: error that may be spent up to
    each of them, not falling.
    """
    n = sizes[0]
    t = float(stats.t.isf(spent[0] / 2, n - 1))
    values = [t]
    cells = _cells(t, n)
    mass = -np.diff(2 * stats.norm.sf(cells))
    for size, allowed in zip(sizes[1:], np.diff(spent), strict=True):
        inside = _middles(cells, n)
        while n < size - 1:  # images between two analyses
            cells = _cells(math.inf, n + 1)
            mass = mass @ _moves(inside, n, _u(cells, n + 1))
            n += 1
            inside = _middles(cells, n)
        t = _limit(mass, inside, n, float(allowed))
        values.append(t)
        cells = _cells(t, size)
        mass = mass @ _moves(inside, n, _u(cells, size))
        n = size
    return tuple(values)


def _cells(t: float, n: int) -> np.ndarray:
    """Return edges of cells of |t| up to a limit, as normal deviates: even where the mass is."""
    z = stats.norm.isf(stats.t.sf(t, n - 1))
    return np.linspace(0, min(float(z), _FARTHEST), _CELLS + 1)


def _middles(cells: np.ndarray, n: int) -> np.ndarray:
    return _u((cells[:-1] + cells[1:]) / 2, n)


def _limit(mass: np.ndarray, inside: np.ndarray, n: int, allowed: float) -> float:
    """Return the |t| of n + 1 images that is passed with the chance that may be spent."""

    def over(z: float) -> float:
        return float(mass @ _beyond(inside, n, _u(np.array([z]), n + 1))[:, 0]) - allowed

    if over(_FARTHEST) > 0:
        return math.inf
    z = optimize.brentq(over, 0, _FARTHEST, xtol=1e-10)
    return float(stats.t.isf(stats.norm.sf(z), n))


def _moves(inside: np.ndarray, n: int, edges: np.ndarray) -> np.ndarray:
    """Return the chances to come from |u| = inside[i] of n images into cell j of n + 1 images."""
    return -np.diff(_beyond(inside, n, edges), axis=1)


def _beyond(inside: np.ndarray, n: int, limits: np.ndarray) -> np.ndarray:
    """Return the chance that |u| of n + 1 images exceeds limits[j], given inside[i] of n images."""
    start, limit = np.broadcast_arrays(inside[:, None], limits[None, :])
    return _above(start, n, limit) + _above(-start, n, limit)


def _above(start: np.ndarray, n: int, limit: np.ndarray) -> np.ndarray:
    """Return the chance that u of n + 1 images exceeds limit >= 0, given u = start of n images.

    With T / sqrt(n) = tan(a) the step reads u = sqrt(1 + start**2) * sin(a + atan(start)).
    """
    ratio = np.minimum(limit / np.sqrt(1 + start**2), 1)
    turn, reach = np.arctan(start), np.arcsin(ratio)
    first = np.maximum(reach - turn, -np.pi / 2)
    last = np.minimum(np.pi - reach - turn, np.pi / 2)
    chance = _sf(first, n) - _sf(last, n)
    return np.where(ratio < 1, np.maximum(chance, 0), 0)


def _sf(angle: np.ndarray, n: int) -> np.ndarray:
    scaled = math.sqrt(n) * np.tan(angle)
    scaled = np.where(angle >= np.pi / 2, np.inf, np.where(angle <= -np.pi / 2, -np.inf, scaled))
    return np.asarray(stats.t.sf(scaled, n))


def _u(z: np.ndarray, n: int) -> np.ndarray:
    """Return the |u| of n images that is as far out as |z| of a normal statistic."""
    t = stats.t.isf(stats.norm.sf(z), n - 1)
    return np.asarray(math.sqrt(n) / np.sqrt(1 + (n - 1) / np.maximum(t, 1e-100) ** 2))
