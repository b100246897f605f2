"""What a study gave: one row per fit, gathered into trials and compared with the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from n2n_ablate.records.fit import FitResult
from n2n_ablate.records.header import Header, Invocation
from n2n_ablate.study import BASELINE, Plan, Trial

OWN = (BASELINE, "declared", "search")
"""Roles of the trials that belong to the question."""

ReferenceMethods: TypeAlias = Mapping[str, Mapping[tuple[str, str], Mapping[str, float]]]
"""What needs no training, by name: figures by condition and image."""


@dataclass(frozen=True, eq=False)
class Row:
    """One fit of a trial.

    Attributes:
        condition: Label of the noise.
        image: Name of the image.
        seed: The seed.
        result: What the fit gave.
        cached: True if it was already in the store.
    """

    condition: str
    image: str
    seed: int
    result: FitResult
    cached: bool = False


@dataclass(frozen=True, eq=False)
class ImageCurves:
    """One metric by step under one condition: one curve per image, the mean over its seeds."""

    steps: np.ndarray
    images: Mapping[str, np.ndarray]

    @property
    def mean(self) -> np.ndarray:
        """The mean over images."""
        return np.mean(list(self.images.values()), axis=0) if self.images else np.array([])


@dataclass(frozen=True, eq=False)
class TrialResult:
    """A trial with all its fits.

    Attributes:
        trial: Its name, role and recipe.
        rows: One per fit.
        load: Reads a stored fit with its denoised image, by its key; None if no store is there.
        invocation: The command that finished it; None for the one that runs.
        finished: When that was, in seconds since 1970; 0 for now.
        lost: Fits whose stored results cannot be read any more; they count as failed.
    """

    trial: Trial
    rows: tuple[Row, ...]
    load: Callable[[str], FitResult | None] | None = field(default=None, repr=False)
    invocation: Invocation | None = None
    finished: float = 0.0
    lost: int = 0

    @property
    def failures(self) -> int:
        """Fits without a result."""
        return sum(bool(row.result.failure) for row in self.rows)

    @property
    def seconds(self) -> float:
        """Training time of all fits, cached ones included."""
        return sum(row.result.seconds for row in self.rows)

    @property
    def cached(self) -> int:
        """Fits that were cached."""
        return sum(row.cached for row in self.rows)

    def light(self) -> TrialResult:
        """Return it without denoised images; `with_images` reads them again."""
        rows = (replace(row, result=replace(row.result, denoised=None)) for row in self.rows)
        return replace(self, rows=tuple(rows))

    def with_images(self) -> TrialResult:
        """Return it with its denoised images, as far as the store has them."""

        def whole(result: FitResult) -> FitResult:
            if result.failure or result.denoised is not None or self.load is None:
                return result
            return self.load(result.key) or result

        rows = (replace(row, result=whole(row.result)) for row in self.rows)
        return replace(self, rows=tuple(rows))

    @cached_property
    def _rows(self) -> Mapping[str, Mapping[str, Sequence[Row]]]:
        """Rows by condition and image."""
        known: dict[str, dict[str, list[Row]]] = {}
        for row in self.rows:
            known.setdefault(row.condition, {}).setdefault(row.image, []).append(row)
        return known

    @cached_property
    def _curves(self) -> dict[tuple[str, str], ImageCurves]:
        return {}

    @cached_property
    def _values(self) -> dict[tuple[str, str], Mapping[str, np.ndarray]]:
        return {}

    def values(self, metric: str, condition: str) -> Mapping[str, np.ndarray]:
        """Return the values of a metric by image, an array over seeds in the order of the study.

        An image with any failed fit, or a value that is not finite, is left out whole: an average over
        the seeds that happened to survive would flatter an unstable recipe.
        """
        key = (metric, condition)
        if key not in self._values:
            self._values[key] = {
                image: np.array(values)
                for image, rows in self._rows.get(condition, {}).items()
                if not any(row.result.failure for row in rows)
                and all(map(math.isfinite, values := _figures(rows, metric)))
            }
        return self._values[key]

    def by_image(self, metric: str, condition: str) -> dict[str, float]:
        """Return the mean of a metric over seeds by image; images as in `values`."""
        values = self.values(metric, condition)
        return {image: mean_of(each) for image, each in values.items()}

    def by_seed(self, metric: str, condition: str) -> dict[str, dict[int, float]]:
        """Return the value of a metric per image and seed; images as in `values`."""
        rows = self._rows.get(condition, {})
        return {
            image: {row.seed: float(value) for row, value in zip(rows[image], each, strict=True)}
            for image, each in self.values(metric, condition).items()
        }

    def given(self, condition: str) -> Sequence[str]:
        """Return the images that it was trained on, whether its fits failed or not."""
        return tuple(self._rows.get(condition, {}))

    def complete(self, conditions: Sequence[str]) -> bool:
        """Return whether it was run under all these conditions and lost no fit there."""
        rows = [self._rows.get(condition, {}) for condition in conditions]
        return all(rows) and not any(
            row.result.failure for each in rows for fits in each.values() for row in fits
        )

    def mean(self, metric: str, condition: str) -> float:
        """Return the mean of a metric over images, NaN if no fit succeeded."""
        values = self.values(metric, condition).values()
        return math.fsum(map(mean_of, values)) / len(values) if values else math.nan

    def curves(self, metric: str, condition: str) -> ImageCurves:
        """Return a metric by step. The last point of a curve is the final value, as tables show it.

        Images as in `values`, so that a curve and the table never disagree.
        """
        key = (metric, condition)
        if key not in self._curves:
            self._curves[key] = self._image_curves(metric, condition)
        return self._curves[key]

    def _image_curves(self, metric: str, condition: str) -> ImageCurves:
        steps, images = np.array([]), dict[str, np.ndarray]()
        for image, final in self.by_image(metric, condition).items():
            fits = [row.result for row in self._rows[condition][image]]
            if known := [fit.curves[metric] for fit in fits if metric in fit.curves]:
                steps = fits[0].steps if not images else steps
                # With one seed without what numpy spends on a mean.
                mean = known[0] if len(known) == 1 else np.mean(known, axis=0, dtype=np.float64)
                images[image] = np.array(mean, dtype=np.float64)
                images[image][-1] = final
        return ImageCurves(steps, images)


def mean_of(values: np.ndarray) -> float:
    """Return the mean of a few values, without what numpy spends on a call: seeds of one image."""
    return float(values[0]) if len(values) == 1 else math.fsum(values.tolist()) / len(values)


def _figures(rows: Sequence[Row], metric: str) -> list[float]:
    return [row.result.figures.get(metric, math.nan) for row in rows]


@dataclass(frozen=True, eq=False)
class StudyTrials:
    """Everything a study gave so far.

    Attributes:
        plan: What was asked.
        trials: In the order in which they ran; the baseline is the first.
        reference_methods: By name (`noisy`, `nl-means`): value per metric, condition and image.
        confirmed: The same contrasts (and the best of a search) again, on images and with seeds that
            nothing was chosen on: a further result, with its plan, images, baseline and
            trials. None if the study asks for no confirmation, or it has not begun. Where there
            is one, its verdicts are the study's findings.
        header: What the trials share, where it is known.
    """

    plan: Plan
    trials: tuple[TrialResult, ...]
    reference_methods: ReferenceMethods = field(default_factory=dict)
    confirmed: StudyTrials | None = None
    header: Header | None = None

    def with_confirmed(self, confirmed: StudyTrials) -> StudyTrials:
        """Return this result with that of its confirmation."""
        return replace(self, confirmed=confirmed)

    @property
    def failures(self) -> int:
        """Fits without a result, those of the confirmation included."""
        failures = sum(trial_result.failures for trial_result in self.trials)
        return failures + (self.confirmed.failures if self.confirmed else 0)

    @property
    def baseline(self) -> TrialResult | None:
        """The baseline's result, None if it did not run."""
        return next((each for each in self.trials if each.trial.role == BASELINE), None)

    @property
    def contrasts(self) -> list[TrialResult]:
        """The results of declared contrasts, in the order in which they ran."""
        # A search may come back to a declared point; what it chose gets no verdict.
        names = self.plan.contrasts
        return [
            each
            for each in self.trials
            if each.trial.role == "declared" and each.trial.name in names
        ]
