"""The response to two searched parameters: dB over both, and how sure it is at each place.

What `response` says about promises holds here, with the convex hull of the places for the range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import spatial

from n2n_ablate.stats import bands
from n2n_ablate.stats.best_place import error, near_best
from n2n_ablate.stats.intervals import LEVEL
from n2n_ablate.stats.places import Places, Values
from n2n_ablate.stats.smoother import smoothed

FEWEST_PLACES = 8
"""Places below which no surface is drawn."""

_GRID = 21


@dataclass(frozen=True, eq=False)
class Surface:
    """A surface over two parameters; fields as in `Response`, arrays over a grid of both.

    Attributes:
        grids: Values of both parameters; shapes (g,), (h,).
        mean: Smoothed mean difference from the baseline; shape (g, h).
        half_width: Of the band that holds the whole surface at once; shape (g, h).
        pointwise: Half-width of the interval at each place by itself; shape (g, h).
        inside: False outside the convex hull of the places: extrapolated; shape (g, h).
        near_best: True where the best place may be; shape (g, h).
        places: That were tried; shape (p, 2).
        points: Mean difference at each of them, not smoothed; shape (p,).
        images: That have a value at every place.
        lost_images: Left out because some fit failed.
        lost_places: Left out because more than half of the images failed there.
        log: Whether each parameter is on a logarithmic scale.
        level: Of the band and of `near_best`.
    """

    grids: tuple[np.ndarray, np.ndarray]
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
    log: tuple[bool, bool] = (False, False)
    level: float = LEVEL

    @property
    def best(self) -> tuple[float, float]:
        """Where the mean surface is highest, inside the convex hull of the places."""
        top = np.where(self.inside, self.mean, -np.inf).argmax()
        first, second = np.unravel_index(top, self.mean.shape)
        return float(self.grids[0][first]), float(self.grids[1][second])


def surface(
    places: Sequence[tuple[float, float]],
    firsts: Sequence[Values],
    second: Values,
    *,
    log: tuple[bool, bool] = (False, False),
    spans: tuple[tuple[float, float], tuple[float, float]] | None = None,
    level: float = LEVEL,
) -> Surface | None:
    """Draw the surface of differences from the baseline over two parameters.

    Args:
        places: Values of both parameters of each trial.
        firsts: As for `response`.
        second: As for `response`.
        log: Whether to smooth over the logarithm of each.
        spans: Ends of both grids; the outermost places if not given.
        level: Of the band.

    Returns:
        None with fewer than 8 places, with places on one line, or if no image has a value at
        every place.

    Raises:
        ValueError: A logarithm of a number that is not positive.
    """
    found = Places.of(places, firsts, second, log)
    tried = found.scaled(found.at)
    if len(tried) < FEWEST_PLACES or not found.images or np.linalg.matrix_rank(np.cov(tried.T)) < 2:
        return None
    ends = np.array(
        [found.at.min(axis=0), found.at.max(axis=0)] if spans is None else np.transpose(spans)
    )
    first, last = found.scaled(ends)
    axes = np.linspace(first, last, _GRID)
    mesh = np.stack(np.meshgrid(*axes.T, indexing="ij"), axis=-1).reshape(-1, 2)
    inside = spatial.Delaunay(tried).find_simplex(mesh, tol=1e-9) >= 0
    sheet = smoothed(tried, found.gaps, mesh)
    within, triangles = sheet.at(inside), _triangles(inside)
    units = bands.directions(within.values)
    wide = bands.critical(level, found.images, *bands.mesh(triangles, units))
    near = np.zeros(len(mesh), dtype=bool)
    near[inside] = near_best(within, level, triangles)
    own, shape = error(sheet), (_GRID, _GRID)
    grids = found.restored(axes)
    return Surface(
        grids=(grids[:, 0], grids[:, 1]),
        mean=sheet.values.mean(axis=1).reshape(shape),
        half_width=(wide * own).reshape(shape),
        pointwise=(bands.critical(level, found.images) * own).reshape(shape),
        inside=inside.reshape(shape),
        near_best=near.reshape(shape),
        places=found.at,
        points=found.gaps.mean(axis=1),
        images=found.images,
        lost_images=found.lost_images,
        lost_places=found.lost_places,
        log=log,
        level=level,
    )


def _triangles(inside: np.ndarray) -> np.ndarray:
    """Return the two triangles of each cell of the grid, with places numbered among those inside."""
    number = np.arange(_GRID**2).reshape(_GRID, _GRID)
    one, right, below, far = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    cells = [
        np.stack(corners, axis=-1).reshape(-1, 3)
        for corners in ((one, right, below), (far, right, below))
    ]
    every = np.concatenate(cells)
    return np.asarray((np.cumsum(inside) - 1)[every[inside[every].all(axis=1)]])
