"""Both sides of a contrast, image by image, and how the verdicts of a stage are decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis.records import ImageDifference, Metric, Reason
from n2n_ablate.records.results import mean_of

Side = Mapping[str, np.ndarray]
"""One side of a contrast: values by image, an array over seeds, of images that lost no fit."""


@dataclass(frozen=True)
class Rule:
    """How the verdicts of a stage are decided."""

    metric: Metric  # that decides
    size: int  # of the family
    order: tuple[str, ...]  # names of all images, in the order of the fits
    clusters: Mapping[str, str] = field(default_factory=dict)  # scene by image, where it has one
    interim_sizes: tuple[int, ...] = ()  # images at each interim analysis of a race
    decides: bool = True  # False for a demonstration, which has no verdicts

    def units(self, images: Sequence[str]) -> int:
        """Return how many independent units images make."""
        return len({self.clusters.get(image, image) for image in images})

    @property
    def raced(self) -> bool:
        """Whether there is more than one analysis."""
        return len(self.interim_sizes) > 1

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.metric.higher_is_better else -1

    @property
    def margin(self) -> float:
        """Differences within +- margin are equivalent; 0 without one."""
        return self.metric.margin or 0.0


@dataclass(frozen=True, eq=False)
class Paired:
    """Both sides of a contrast on the images that were given to both."""

    images: tuple[ImageDifference, ...]
    units: Mapping[str, float]  # mean difference of each scene, where both sides have results
    values: np.ndarray  # the same as an array
    seeds: np.ndarray  # differences, shape (images of both, seeds)

    @classmethod
    def of(
        cls, trial: Side, baseline: Side, given: Sequence[str], clusters: Mapping[str, str]
    ) -> Paired:
        """Pair both sides; crops, shots and overlaps of one scene are averaged."""
        images, scenes = [], dict[str, list[float]]()
        for name in given:
            scene = clusters.get(name, name)
            one = mean_of(trial[name]) if name in trial else None
            two = mean_of(baseline[name]) if name in baseline else None
            difference = None
            if one is not None and two is not None:
                difference = one - two
                scenes.setdefault(scene, []).append(difference)
            images.append(ImageDifference(name, scene, one, two, difference))
        units = {scene: math.fsum(values) / len(values) for scene, values in scenes.items()}
        shared = [name for name in given if name in trial and name in baseline]
        seeds = np.array([trial[name] for name in shared])
        seeds = seeds - np.array([baseline[name] for name in shared])
        return cls(tuple(images), units, np.array(list(units.values())), seeds)

    @property
    def lost(self) -> tuple[int, int]:
        """Images that the trial and the baseline lost."""
        return (
            sum(each.trial is None for each in self.images),
            sum(each.baseline is None for each in self.images),
        )

    @property
    def identical(self) -> bool:
        """Whether both have the same value on every image with every seed."""
        return not self.seeds.any()

    def reason(self) -> Reason | None:
        """Return why a verdict is withheld; None if nothing speaks against one."""
        given, (lost_trial, lost_baseline) = len(self.images), self.lost
        if not given:
            return Reason.NOT_RUN
        if lost_baseline == given:
            return Reason.BASELINE_FAILED
        if lost_trial == given:
            return Reason.TRIAL_FAILED
        if not self.units:
            return Reason.NO_COMMON_IMAGE
        if lost_trial and lost_baseline:
            return Reason.BOTH_LOST_IMAGES
        if lost_trial or lost_baseline:
            return Reason.TRIAL_LOST_IMAGES if lost_trial else Reason.BASELINE_LOST_IMAGES
        if self.identical:
            return None
        if len(self.units) < 2:
            return Reason.ONE_IMAGE
        return None if stats.has_spread(self.values) else Reason.NO_SPREAD


def effect_sides(plus: Sequence[Side], minus: Sequence[Side], *, order: int) -> tuple[Side, Side]:
    """Return both sides of an effect of a factorial, means over its cells.

    A main effect is the mean over the cells with the changed level less that over those that differ in
    nothing else. An interaction is what both changes give beyond the sum of what each gives alone: the
    cells with both or neither less those with one, times two.

    An image that is missing in one cell is missing in that side, of an interaction in both, since
    none of them is the one that lost it.

    `minus`: the same; as many; `order`: factors that change: 1 or 2.
    """
    one, two = (_mean_side(cells, order) for cells in (plus, minus))
    if order == 1:
        return one, two
    both = [image for image in one if image in two]
    return {image: one[image] for image in both}, {image: two[image] for image in both}


def _mean_side(cells: Sequence[Side], scale: int) -> Side:
    images = [image for image in cells[0] if all(image in cell for cell in cells)] if cells else []
    return {image: scale * np.mean([cell[image] for cell in cells], axis=0) for image in images}
