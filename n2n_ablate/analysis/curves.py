"""Curves of a trial by image, as tables and pictures show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from n2n_ablate.records import TrialResult


@dataclass(frozen=True, eq=False)
class ImageCurves:
    """One metric by step under one condition: one curve per image, the mean over its seeds."""

    steps: np.ndarray
    images: Mapping[str, np.ndarray]

    @property
    def mean(self) -> np.ndarray:
        """The mean over images."""
        return np.mean(list(self.images.values()), axis=0) if self.images else np.array([])


def image_curves(result: TrialResult, metric: str, condition: str) -> ImageCurves:
    """Return a metric by step. The last point is the final value, as tables show it.

    Like `TrialResult.by_image` it leaves out images with a failed fit, so that a curve and the
    table never disagree.
    """
    finals = result.by_image(metric, condition)
    rows = [row for row in result.rows if row.condition == condition and row.image in finals]
    rows = [row for row in rows if metric in row.result.curves]
    if not rows:
        return ImageCurves(np.array([]), {})
    steps = rows[0].result.steps
    images = {}
    for image in dict.fromkeys(row.image for row in rows):
        own = [row.result.curves[metric] for row in rows if row.image == image]
        curve = np.asarray(np.mean(own, axis=0, dtype=np.float64))
        curve[-1] = finals[image]
        images[image] = curve
    return ImageCurves(steps, images)
