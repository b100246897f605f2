"""Differences by place and image, made whole and put on one scale: what curves are drawn through."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Values = Mapping[str, float]
"""Value per image, seeds averaged."""


@dataclass(frozen=True, eq=False)
class Places:
    """Paired differences at places of a parameter space, without gaps.

    Attributes:
        at: The places, sorted, each once; shape (places, dimensions).
        gaps: Trial minus baseline, shape (places, images).
        log: Which dimensions are on a logarithmic scale.
        lost_images: Left out because they have no value at some place.
        lost_places: Left out because at most half of the images have a value there.
    """

    at: np.ndarray
    gaps: np.ndarray
    log: tuple[bool, ...]
    lost_images: int
    lost_places: int

    @classmethod
    def of(
        cls,
        at: Sequence[Sequence[float]],
        firsts: Sequence[Values],
        second: Values,
        log: tuple[bool, ...],
    ) -> Places:
        """Pair values by image; a place given twice counts once, with the mean.

        Raises:
            ValueError: A logarithm of a number that is not positive.
        """
        known = [name for name, value in second.items() if math.isfinite(value)]
        gaps = np.array(
            [[first.get(name, math.nan) - second[name] for name in known] for first in firsts]
        ).reshape(len(firsts), len(known))
        where = np.array(at, dtype=float).reshape(len(firsts), len(log))
        if any(where[:, own].min(initial=1) <= 0 for own in np.flatnonzero(log)):
            msg = "a logarithmic scale needs places above 0"
            raise ValueError(msg)
        gaps = np.where(np.isfinite(gaps), gaps, np.nan)
        unique, of = np.unique(where, axis=0, return_inverse=True)
        merged = np.array([gaps[of.ravel() == place].mean(axis=0) for place in range(len(unique))])
        merged = merged.reshape(len(unique), len(known))
        good_places = np.isfinite(merged).sum(axis=1) * 2 > len(known)
        merged = merged[good_places]
        good_images = np.isfinite(merged).all(axis=0)
        return cls(
            unique[good_places],
            merged[:, good_images],
            log,
            int((~good_images).sum()),
            int((~good_places).sum()),
        )

    @property
    def images(self) -> int:
        """Images with a value at every place."""
        return self.gaps.shape[1]

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return places on the scale on which those tried range from 0 to 1 in each dimension."""
        low, high = self._ends()
        return np.asarray((self._straight(values) - low) / np.where(high > low, high - low, 1.0))

    def restored(self, scaled: np.ndarray) -> np.ndarray:
        """Return scaled places in the units of the parameters."""
        low, high = self._ends()
        values = low + scaled * np.where(high > low, high - low, 1.0)
        return np.asarray(np.where(self.log, np.exp(np.where(self.log, values, 0)), values))

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        straight = self._straight(self.at)
        return straight.min(axis=0), straight.max(axis=0)

    def _straight(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(self.log, np.log(np.where(self.log, values, 1)), values))
