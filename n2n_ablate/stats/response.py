"""The response to one searched parameter: dB against it, with a band, and where the best lies.

What the band promises: at a fixed set of places, with differences that are about normal over images
and a mean curve that is smooth on the scale of the gaps between places, it holds the whole true
curve between the first and the last place with the probability `level` (measured in
docs/results/response-curves.md). The unit is the image: how far images disagree is seen, not assumed.

What it does not promise: a search puts its places where the scores so far were high. Curves are
drawn through all places, good and bad, and the places' own errors are averaged by their neighbours,
so this matters much less than for the best trial of a search, but nothing here corrects for it. A
feature narrower than the gaps, e.g. a step between two places, is not seen. The answer holds for the
recipe, the noise and the kind of images that were tried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.stats import bands
from n2n_ablate.stats.intervals import LEVEL
from n2n_ablate.stats.smoother import Smoothed, smoothed

FEWEST_PLACES = 5
"""Places below which no curve is drawn."""

Values = Mapping[str, float]
"""Value per image, seeds averaged."""

_GRID = 101
_MOST_PLACES = 40  # smoothed as they are: neighbours among more are averaged first
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Response:
    """A curve over one parameter, between the outermost places that were tried."""

    grid: np.ndarray  # values of the parameter, ascending; shape (g,)
    mean: np.ndarray  # smoothed mean difference from the baseline in units of the metric; (g,)
    half_width: (
        np.ndarray
    )  # of the band that holds the whole curve at once; infinite without spread
    pointwise: np.ndarray  # half-width of the interval at each place by itself, narrower
    near_best: np.ndarray  # where the best place may be: a set that holds it with `level`
    places: np.ndarray  # values of the parameter that were tried, ascending; shape (p,)
    points: np.ndarray  # mean difference at each of them, not smoothed; shape (p,)
    images: int  # that have a value at every place
    lost_images: int = 0  # left out because some fit failed
    lost_places: int = 0  # left out because more than half of the images failed there
    log: bool = False  # whether the parameter is on a logarithmic scale
    level: float = LEVEL  # of the band and of `near_best`

    @property
    def low(self) -> np.ndarray:
        """Lower end of the band."""
        return self.mean - self.half_width

    @property
    def high(self) -> np.ndarray:
        """Upper end of the band."""
        return self.mean + self.half_width

    @property
    def best(self) -> float:
        """Where the mean curve is highest."""
        return float(self.grid[self.mean.argmax()])

    @property
    def at_edge(self) -> bool:
        """True if the best place may be the first or the last: it may as well lie beyond."""
        return bool(self.near_best[0] or self.near_best[-1])

    @property
    def stretches(self) -> tuple[tuple[float, float], ...]:
        """The stretches of the parameter that cannot be told from the best; usually one."""
        near = np.flatnonzero(self.near_best)
        runs = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1)
        return tuple((float(self.grid[run[0]]), float(self.grid[run[-1]])) for run in runs)


def response(
    places: Sequence[float],
    firsts: Sequence[Values],
    second: Values,
    *,
    log: bool = False,
    level: float = LEVEL,
) -> Response | None:
    """Draw the curve of differences from the baseline over one parameter.

    Args:
        places: Value of the parameter of each trial. The baseline may be one of the trials.
        firsts: Value per image of each trial, seeds averaged; failed images left out or NaN.
        second: The same of the baseline.
        log: Smooth over the logarithm of the parameter; places must be above 0.
        level: Of the band.

    Returns:
        None with fewer than 5 places, or if no image has a value at every place.

    Raises:
        ValueError: A logarithm of a number that is not positive.
    """
    if log and min(places, default=1) <= 0:
        msg = "a logarithmic scale needs places above 0"
        raise ValueError(msg)
    tried, gaps, lost_places = _merged(places, firsts, second)
    whole = np.isfinite(gaps).all(axis=0)
    gaps = gaps[:, whole]
    images = int(whole.sum())
    if len(tried) < FEWEST_PLACES or not images:
        return None
    points = gaps.mean(axis=1)
    straight, gaps = _thinned(np.log(tried) if log else tried, gaps)
    scaled = (straight - straight[0]) / (straight[-1] - straight[0])
    curve = smoothed(scaled, gaps, np.linspace(0, 1, _GRID))
    wide = bands.critical(level, images, bands.path(bands.directions(curve.values)))
    error = _error(curve.values, np.diag(curve.bias))
    grid = np.linspace(straight[0], straight[-1], _GRID)
    return Response(
        grid=np.exp(grid) if log else grid,
        mean=curve.values.mean(axis=1),
        half_width=wide * error,
        pointwise=bands.critical(level, images) * error,
        near_best=_near_best(curve, level),
        places=tried,
        points=points,
        images=images,
        lost_images=int((~whole).sum()),
        lost_places=lost_places,
        log=log,
        level=level,
    )


def _merged(
    places: Sequence[float], firsts: Sequence[Values], second: Values
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return places, differences by place and image, and how many places are left out.

    A place tried twice counts once, with the mean; one where at most half of the images have a value
    is left out.
    """
    known = [name for name, value in second.items() if math.isfinite(value)]
    gaps = np.array(
        [[first.get(name, math.nan) - second[name] for name in known] for first in firsts]
    ).reshape(len(firsts), len(known))
    gaps = np.where(np.isfinite(gaps), gaps, np.nan)
    tried, of = np.unique(np.array(places, dtype=float), return_inverse=True)
    merged = np.array([gaps[of == place].mean(axis=0) for place in range(len(tried))])
    merged = merged.reshape(len(tried), len(known))
    good = np.isfinite(merged).sum(axis=1) * 2 > len(known)
    return tried[good], merged[good], int((~good).sum())


def _thinned(places: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `_MOST_PLACES` places with differences, the outermost ones as they are.

    Smoothing takes time with the cube of the places; those of hundreds lie closer than anything that
    the curve could follow.
    """
    if len(places) <= _MOST_PLACES:
        return places, gaps
    groups = np.array_split(np.arange(1, len(places) - 1), _MOST_PLACES - 2)
    groups = [np.array([0]), *groups, np.array([len(places) - 1])]
    return np.array([places[each].mean() for each in groups]), np.array(
        [gaps[each].mean(axis=0) for each in groups]
    )


def _near_best(found: Smoothed, level: float) -> np.ndarray:
    """Return at which places the true mean may be the highest of all.

    A place is left out if somewhere else the mean is higher by more than chance allows, paired by
    image, with a band over all other places at once. The true best place is left out only if that
    band misses at it, so the set holds it with probability `level` at least.
    """
    images = found.values.shape[1]
    if images < 2:
        return np.ones(len(found.values), dtype=bool)
    may_be = []
    bias = np.diag(found.bias)
    for place, (own, crossed) in enumerate(zip(found.values, found.bias, strict=True)):
        higher = found.values - own
        sure = _error(higher, bias + bias[place] - 2 * crossed)
        sure[place] = np.inf  # nothing is higher than itself
        largest = float((higher.mean(axis=1) / sure).max())
        # From before the place to behind it the statistic turns its sign only.
        length = bands.path(bands.directions(np.delete(higher, place, axis=0)))
        may_be.append(bands.chance(largest, images, length) > 1 - level)
    return np.array(may_be)


def _error(values: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean at each place; infinite if images show no spread."""
    images = values.shape[1]
    spread = values.std(axis=1, ddof=1) if images > 1 else np.zeros(len(values))
    if not (spread > _ROUNDING * max(1.0, float(np.abs(values).max(initial=0)))).any():
        return np.full(len(values), np.inf)
    return np.asarray(np.sqrt(spread**2 / images + np.maximum(0.0, bias)))
