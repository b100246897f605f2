"""The response to one searched parameter: dB against it, with a band, and where the best lies.

What the band promises: at a fixed set of places, with differences that are about normal over images
and a mean curve that is smooth on the scale of the gaps between places, it holds the whole true
curve between the first and the last place with the probability `level` (measured in
docs/results/response-curves.md). The unit is the image: how far images disagree is seen, not assumed.

What it does not promise: a search puts its places where the scores so far were high. Curves are
drawn through all places, good and bad, and the places' own errors are averaged by their neighbours,
so this matters much less than for the best trial of a search, but nothing here corrects for it. A
feature narrower than the gaps, e.g. a step between two places, is not seen. Beyond the outermost
places there is a guess and no promise (`inside` is False). The answer holds for the recipe, the
noise and the kind of images that were tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.stats import bands
from n2n_ablate.stats.best_place import error, near_best
from n2n_ablate.stats.intervals import LEVEL
from n2n_ablate.stats.places import Places, Values
from n2n_ablate.stats.smoother import smoothed

FEWEST_PLACES = 5
"""Places below which no curve is drawn."""

_GRID = 101
_AT_END = 1e-9  # of the range of the places


@dataclass(frozen=True, eq=False)
class Response:
    """A curve over one parameter.

    Attributes:
        grid: Values of the parameter, ascending; shape (g,).
        mean: Smoothed mean difference from the baseline in units of the metric; shape (g,).
        half_width: Of the band that holds the whole curve at once; infinite without spread.
        pointwise: Half-width of the interval at each place by itself, narrower.
        inside: False beyond the outermost places: extrapolated, nothing is promised.
        near_best: True where the best place may be: a set that holds it with probability `level`.
        places: Values of the parameter that were tried, ascending; shape (p,).
        points: Mean difference at each of them, not smoothed; shape (p,).
        images: That have a value at every place.
        lost_images: Left out because some fit failed.
        lost_places: Left out because more than half of the images failed there.
        log: Whether the parameter is on a logarithmic scale.
        level: Of the band and of `near_best`.
    """

    grid: np.ndarray
    mean: np.ndarray
    half_width: np.ndarray
    pointwise: np.ndarray
    inside: np.ndarray
    near_best: np.ndarray
    places: np.ndarray
    points: np.ndarray
    images: int
    lost_images: int = 0
    lost_places: int = 0
    log: bool = False
    level: float = LEVEL

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
        """Where the mean curve is highest, between the outermost places."""
        return float(self.grid[np.where(self.inside, self.mean, -np.inf).argmax()])

    @property
    def at_edge(self) -> bool:
        """True if the best place may be the first or the last: it may as well lie beyond."""
        own = np.flatnonzero(self.inside)
        return bool(self.near_best[own[0]] or self.near_best[own[-1]])

    @property
    def stretches(self) -> tuple[tuple[float, float], ...]:
        """The stretches of the parameter that cannot be told from the best; usually one."""
        own = np.flatnonzero(self.near_best)
        runs = np.split(own, np.flatnonzero(np.diff(own) > 1) + 1)
        return tuple((float(self.grid[run[0]]), float(self.grid[run[-1]])) for run in runs)


def response(
    places: Sequence[float],
    firsts: Sequence[Values],
    second: Values,
    *,
    log: bool = False,
    span: tuple[float, float] | None = None,
    level: float = LEVEL,
) -> Response | None:
    """Draw the curve of differences from the baseline over one parameter.

    Args:
        places: Value of the parameter of each trial. The baseline may be one of the trials.
        firsts: Value per image of each trial, seeds averaged; failed images left out or NaN.
        second: The same of the baseline.
        log: Smooth over the logarithm of the parameter; places must be above 0.
        span: Ends of the grid; the outermost places if not given.
        level: Of the band.

    Returns:
        None with fewer than 5 places, or if no image has a value at every place.

    Raises:
        ValueError: A logarithm of a number that is not positive.
    """
    found = Places.of([(place,) for place in places], firsts, second, (log,))
    if len(found.at) < FEWEST_PLACES or not found.images:
        return None
    tried = found.at[:, 0]
    ends = np.array([[tried[0]], [tried[-1]]] if span is None else [[end] for end in span])
    first, last = found.scaled(ends)[:, 0]
    scaled = np.linspace(first, last, _GRID)[:, None]
    inside = (scaled[:, 0] > -_AT_END) & (scaled[:, 0] < 1 + _AT_END)
    curve = smoothed(found.scaled(found.at), found.gaps, scaled)
    between = curve.at(inside)
    wide = bands.critical(level, found.images, bands.path(bands.directions(between.values)))
    near = np.zeros(_GRID, dtype=bool)
    near[inside] = near_best(between, level)
    own = error(curve)
    return Response(
        grid=found.restored(scaled)[:, 0],
        mean=curve.values.mean(axis=1),
        half_width=wide * own,
        pointwise=bands.critical(level, found.images) * own,
        inside=inside,
        near_best=near,
        places=tried,
        points=found.gaps.mean(axis=1),
        images=found.images,
        lost_images=found.lost_images,
        lost_places=found.lost_places,
        log=log,
        level=level,
    )
