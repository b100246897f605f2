"""The response to one searched parameter: dB against it, with a band, and where the best lies.

What the band promises: at a fixed set of places, with differences that are about normal over images
and a mean curve that is smooth on the scale of the gaps between places, it holds the whole true
curve between the first and the last place with the probability 0.95 (measured in
docs/results/response-curves.md). The unit is the image: how far images disagree is seen, not assumed.

What it does not promise: a search puts its places where the scores so far were high. Curves are
drawn through all places, good and bad, and the places' own errors are averaged by their neighbours,
so this matters much less than for the best trial of a search, but nothing here corrects for it. A
feature narrower than the gaps, e.g. a step between two places, is not seen. The answer holds for the
recipe, the noise and the kind of images that were tried.

The curve is universal kriging, the same weights for all images: a line plus a Gaussian process (Matern,
5/2) plus noise. How smooth and how noisy is chosen once for all images, by restricted maximum likelihood
pooled over them. The weights are linear in the values, so the smoothed curves are again one independent
curve per image, and t intervals over images hold for them. What no spread over images can show, the error
of drawing a curve through few points, is the process's own (as in Nychka, 1988).

The band: at every place there is a t statistic over images. The largest of them over a stretch exceeds c
with a probability that depends on how much the statistic changes along it: for smooth fields the expected
Euler characteristic of the places above c, a sum of densities (Worsley, 1994, for t fields) weighted by
lengths estimated from the residuals (Taylor and Worsley, 2007), as Liebl and Reimherr (2023) do for curves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special

from n2n_ablate.stats.intervals import LEVEL, t_critical

FEWEST_PLACES = 5
"""Places below which no curve is drawn."""

Values = Mapping[str, float]
"""Value per image, seeds averaged."""

_GRID = 101
_MOST_PLACES = 40  # smoothed as they are: neighbours among more are averaged first
_ROUNDING = 1e-12
_LENGTHS = np.geomspace(0.1, 6.0, 9)  # of correlation, in ranges of the parameter
_NOISES = np.geomspace(1e-5, 1e1, 10)  # variances, as shares of the process's


@dataclass(frozen=True, eq=False)
class Response:
    """A curve over one parameter, between the outermost places that were tried."""

    grid: np.ndarray  # values of the parameter, ascending; shape (g,)
    mean: np.ndarray  # smoothed mean difference from the baseline in units of the metric; (g,)
    # of the band that holds the whole curve at once; infinite without spread
    half_width: np.ndarray
    pointwise: np.ndarray  # half-width of the interval at each place by itself, narrower
    near_best: np.ndarray  # where the best place may be: a set that holds it with `LEVEL`
    places: np.ndarray  # values of the parameter that were tried, ascending; shape (p,)
    images: int  # that have a value at every place
    lost_images: int = 0  # left out because some fit failed
    log: bool = False  # whether the parameter is on a logarithmic scale

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
    places: Sequence[float], firsts: Sequence[Values], second: Values, *, log: bool = False
) -> Response | None:
    """Draw the curve of differences from the baseline over one parameter.

    `places`: value of the parameter of each trial, of which the baseline may be one; `firsts`: value per image of
    each trial, seeds averaged, failed images left out or NaN; `second`: the same of the baseline; `log`: smooth
    over the logarithm of the parameter. None with fewer than 5 places, or if no image has a value at every
    place.

    Raises:
        ValueError: A logarithm of a number that is not positive.
    """
    if log and min(places, default=1) <= 0:
        msg = "a logarithmic scale needs places above 0"
        raise ValueError(msg)
    tried, gaps = _merged(places, firsts, second)
    whole = np.isfinite(gaps).all(axis=0)
    gaps = gaps[:, whole]
    images = int(whole.sum())
    if len(tried) < FEWEST_PLACES or not images:
        return None
    straight, gaps = _thinned(np.log(tried) if log else tried, gaps)
    scaled = (straight - straight[0]) / (straight[-1] - straight[0])
    curve = smoothed(scaled, gaps, np.linspace(0, 1, _GRID))
    wide = critical(LEVEL, images, path(directions(curve.values)))
    error = _error(curve.values, np.diag(curve.bias))
    grid = np.linspace(straight[0], straight[-1], _GRID)
    return Response(
        grid=np.exp(grid) if log else grid,
        mean=curve.values.mean(axis=1),
        half_width=wide * error,
        pointwise=critical(LEVEL, images) * error,
        near_best=_near_best(curve),
        places=tried,
        images=images,
        lost_images=int((~whole).sum()),
        log=log,
    )


def _merged(
    places: Sequence[float], firsts: Sequence[Values], second: Values
) -> tuple[np.ndarray, np.ndarray]:
    """Return places, and differences by place and image.

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
    return tried[good], merged[good]


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


def _near_best(curve: Smoothed) -> np.ndarray:
    """Return at which places the true mean may be the highest of all.

    A place is left out if somewhere else the mean is higher by more than chance allows, paired by
    image, with a band over all other places at once. The true best place is left out only if that
    band misses at it, so the set holds it with probability `LEVEL` at least.
    """
    images = curve.values.shape[1]
    if images < 2:
        return np.ones(len(curve.values), dtype=bool)
    may_be = []
    bias = np.diag(curve.bias)
    for place, (here, crossed) in enumerate(zip(curve.values, curve.bias, strict=True)):
        higher = curve.values - here
        sure = _error(higher, bias + bias[place] - 2 * crossed)
        sure[place] = np.inf  # nothing is higher than itself
        largest = float((higher.mean(axis=1) / sure).max())
        # From before the place to behind it the statistic turns its sign only.
        length = path(directions(np.delete(higher, place, axis=0)))
        may_be.append(chance(largest, images, length) > 1 - LEVEL)
    return np.array(may_be)


def _error(values: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean at each place; infinite if images show no spread."""
    images = values.shape[1]
    spread = values.std(axis=1, ddof=1) if images > 1 else np.zeros(len(values))
    if not (spread > _ROUNDING * max(1.0, float(np.abs(values).max(initial=0)))).any():
        return np.full(len(values), np.inf)
    return np.asarray(np.sqrt(spread**2 / images + np.maximum(0.0, bias)))


def chance(largest: float, images: int, length: float = 0.0) -> float:
    """Return how often chance alone gives a t statistic beyond +- `largest` anywhere.

    `images`: from which mean and spread are taken, at least 2; `length`: of the curve, see `path`; 0 gives the
    ordinary two-sided p of one place. An upper bound, above 1 where it says nothing.
    """
    df = images - 1
    tail = (1 + largest * largest / df) ** (-(df - 1) / 2)
    return float(2 * (special.stdtr(df, -largest) + length * tail / (2 * math.pi)))


def critical(level: float, images: int, length: float = 0.0) -> float:
    """Return the half-width in standard errors of a band that holds everywhere at once, see `chance`."""
    if not length:
        return t_critical(level, images)
    if images < 3:  # the tail does not fall: no width is enough
        return math.inf
    low = high = t_critical(level, images)
    while chance(high, images, length) > 1 - level:
        high *= 2
    if high == low:
        return low
    return float(optimize.brentq(lambda c: chance(c, images, length) - 1 + level, low, high))


def directions(values: np.ndarray) -> np.ndarray:
    """Return residuals (places, images) as unit vectors: their turning is how fast a t field changes."""
    rest = values - values.mean(axis=-1, keepdims=True)
    size = np.linalg.norm(rest, axis=-1, keepdims=True)
    return np.divide(rest, size, out=np.zeros_like(rest), where=size > 0)


def path(units: np.ndarray) -> float:
    """Return the length of the way from each unit vector to the next.

    A vector and its opposite count as one, because bands have two sides: the difference of two
    places of a curve changes its sign where they meet, and nothing else.

    `units`: shape (places, images), neighbours side by side.
    """
    one, two = units[1:], units[:-1]
    apart, opposite = np.linalg.norm(one - two, axis=-1), np.linalg.norm(one + two, axis=-1)
    return float(np.minimum(apart, opposite).sum())


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Smoothed values at new places."""

    values: np.ndarray  # shape (new places, images)
    # covariance of the error of smoothing and interpolating, shape (new places, new places), in
    # squared units of the values; the same for all images
    bias: np.ndarray


def smoothed(places: np.ndarray, values: np.ndarray, new: np.ndarray) -> Smoothed:
    """Smooth values, shape (places, images), and read them off at new places; places range from 0 to 1."""
    fits = [
        (length, *_fitted(places, values, np.maximum(roots, 0) + noise, vectors))
        for length in map(float, _LENGTHS)
        # One decomposition serves every level of noise, which only adds to the eigenvalues.
        for roots, vectors in [linalg.eigh(_matern(places, places, length))]
        for noise in _NOISES
    ]
    length, inverse, plane, scale, _ = max(fits, key=lambda fit: fit[-1])
    near = _matern(new, places, length)
    trend = _basis(new) - near @ inverse @ _basis(places)
    weights = near @ inverse + trend @ plane
    across = near @ weights.T
    within = weights @ _matern(places, places, length) @ weights.T
    bias = _matern(new, new, length) - across - across.T + within
    return Smoothed(weights @ values, scale * bias)


def _fitted(
    places: np.ndarray, values: np.ndarray, roots: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return inverse covariance, weights of the line, variance and likelihood of one smoother."""
    count, images = values.shape
    basis = _basis(places)
    inverse = (vectors / roots) @ vectors.T
    inner = basis.T @ inverse @ basis
    plane = linalg.solve(inner, basis.T @ inverse, assume_a="pos")
    rest = inverse - inverse @ basis @ plane
    free = images * (count - basis.shape[1])
    square = max(float(np.einsum("pi,pq,qi->", values, rest, values)), 1e-300)
    volume = np.log(roots).sum() + np.linalg.slogdet(inner)[1]
    likelihood = -(free * np.log(square) + images * volume) / 2
    return inverse, plane, square / free, float(likelihood)


def _basis(places: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(places)), places])


def _matern(one: np.ndarray, two: np.ndarray, length: float) -> np.ndarray:
    far = np.sqrt(5) * np.abs(one[:, None] - two) / length
    return np.asarray((1 + far + far**2 / 3) * np.exp(-far))
