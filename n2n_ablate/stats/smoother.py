"""A smooth curve through a few points of every image, the same weights for all images.

Universal kriging: a plane plus a Gaussian process (Matern, 5/2) plus noise. How smooth and how
noisy is chosen once for all images, by restricted maximum likelihood pooled over them. The weights
that this gives are linear in the values, so the smoothed curves are again one independent curve per
image, and t intervals over images hold for them. What no spread over images can show, the error of
drawing a curve through few points, is the process's own (as in Nychka, 1988).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.spatial.distance import cdist

_LENGTHS = {1: np.geomspace(0.1, 6.0, 9), 2: np.geomspace(0.2, 6.0, 6)}  # by dimensions
_NOISES = np.geomspace(1e-5, 1e1, 10)  # variances, as shares of the process's


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Smoothed values at new places.

    Attributes:
        values: Shape (new places, images).
        bias: Covariance of the error of smoothing and interpolating, shape (new, new), in squared
            units of the values; the same for all images.
    """

    values: np.ndarray
    bias: np.ndarray

    def at(self, chosen: np.ndarray) -> Smoothed:
        """Return the same at some of the places, chosen by truth values."""
        return Smoothed(self.values[chosen], self.bias[np.ix_(chosen, chosen)])


def smoothed(places: np.ndarray, values: np.ndarray, new: np.ndarray) -> Smoothed:
    """Smooth every image's values and read them off at new places.

    Args:
        places: Shape (places, 1 or 2), scaled so that 0 to 1 is the range of each dimension.
        values: Shape (places, images).
        new: Shape (new places, 1 or 2), on the same scale.
    """
    lengths = itertools.product(_LENGTHS[places.shape[1]], repeat=places.shape[1])
    fits = (_Fit.of(places, values, np.array(own), noise) for own in lengths for noise in _NOISES)
    return max(fits, key=lambda fit: fit.likelihood).at(new)


@dataclass(frozen=True, eq=False)
class _Fit:
    places: np.ndarray
    values: np.ndarray
    length: np.ndarray
    inverse: np.ndarray
    plane: np.ndarray
    scale: float
    likelihood: float

    @classmethod
    def of(cls, places: np.ndarray, values: np.ndarray, length: np.ndarray, noise: float) -> _Fit:
        count, images = values.shape
        basis = _basis(places)
        own = _matern(places, places, length) + noise * np.eye(count)
        factor = linalg.cho_factor(own, lower=True)
        inverse = linalg.cho_solve(factor, np.eye(count))
        inner = basis.T @ inverse @ basis
        plane = linalg.solve(inner, basis.T @ inverse, assume_a="pos")
        rest = inverse - inverse @ basis @ plane
        free = images * (count - basis.shape[1])
        square = max(float(np.einsum("pi,pq,qi->", values, rest, values)), 1e-300)
        volume = 2 * np.log(np.diag(factor[0])).sum() + np.linalg.slogdet(inner)[1]
        likelihood = -(free * np.log(square) + images * volume) / 2
        return cls(places, values, length, inverse, plane, square / free, float(likelihood))

    def at(self, new: np.ndarray) -> Smoothed:
        near = _matern(new, self.places, self.length)
        trend = _basis(new) - near @ self.inverse @ _basis(self.places)
        weights = near @ self.inverse + trend @ self.plane
        across = near @ weights.T
        within = weights @ _matern(self.places, self.places, self.length) @ weights.T
        bias = _matern(new, new, self.length) - across - across.T + within
        return Smoothed(weights @ self.values, self.scale * bias)


def _basis(places: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(places)), places])


def _matern(one: np.ndarray, two: np.ndarray, length: np.ndarray) -> np.ndarray:
    far = np.sqrt(5) * cdist(one / length, two / length)
    return np.asarray((1 + far + far**2 / 3) * np.exp(-far))
