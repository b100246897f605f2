"""A smooth curve through a few points of every image, the same weights for all images.

Universal kriging: a line plus a Gaussian process (Matern, 5/2) plus noise. How smooth and how
noisy is chosen once for all images, by restricted maximum likelihood pooled over them. The weights
that this gives are linear in the values, so the smoothed curves are again one independent curve per
image, and t intervals over images hold for them. What no spread over images can show, the error of
drawing a curve through few points, is the process's own (as in Nychka, 1988).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

_LENGTHS = np.geomspace(0.1, 6.0, 9)  # of correlation, in ranges of the parameter
_NOISES = np.geomspace(1e-5, 1e1, 10)  # variances, as shares of the process's


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Smoothed values at new places."""

    values: np.ndarray  # shape (new places, images)
    # covariance of the error of smoothing and interpolating, shape (new places, new places), in
    # squared units of the values; the same for all images
    bias: np.ndarray


def smoothed(places: np.ndarray, values: np.ndarray, new: np.ndarray) -> Smoothed:
    """Smooth every image's values and read them off at new places.

    Args:
        places: Shape (places,), scaled so that they range from 0 to 1.
        values: Shape (places, images).
        new: Shape (new places,), on the same scale.
    """
    fits = []
    for length in map(float, _LENGTHS):
        # One decomposition serves every level of noise, which only adds to the eigenvalues.
        spectrum = linalg.eigh(_matern(places, places, length))
        fits += [_Fit.of(places, values, length, noise, *spectrum) for noise in _NOISES]
    return max(fits, key=lambda fit: fit.likelihood).at(new)


@dataclass(frozen=True, eq=False)
class _Fit:
    places: np.ndarray
    values: np.ndarray
    length: float
    inverse: np.ndarray
    plane: np.ndarray
    scale: float
    likelihood: float

    @classmethod
    def of(
        cls,
        places: np.ndarray,
        values: np.ndarray,
        length: float,
        noise: float,
        roots: np.ndarray,
        vectors: np.ndarray,
    ) -> _Fit:
        count, images = values.shape
        basis = _basis(places)
        roots = np.maximum(roots, 0) + noise
        inverse = (vectors / roots) @ vectors.T
        inner = basis.T @ inverse @ basis
        plane = linalg.solve(inner, basis.T @ inverse, assume_a="pos")
        rest = inverse - inverse @ basis @ plane
        free = images * (count - basis.shape[1])
        square = max(float(np.einsum("pi,pq,qi->", values, rest, values)), 1e-300)
        volume = np.log(roots).sum() + np.linalg.slogdet(inner)[1]
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


def _matern(one: np.ndarray, two: np.ndarray, length: float) -> np.ndarray:
    far = np.sqrt(5) * np.abs(one[:, None] - two) / length
    return np.asarray((1 + far + far**2 / 3) * np.exp(-far))
