"""What a study gave: one row per fit, gathered into trials and compared with the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from n2n_ablate import stats
from n2n_ablate.records.fit import FitResult
from n2n_ablate.records.header import Header
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
        reused: True if it was already in the store.
    """

    condition: str
    image: str
    seed: int
    result: FitResult
    reused: bool = False


@dataclass(frozen=True, eq=False)
class TrialResult:
    """A trial with all its fits."""

    trial: Trial
    rows: tuple[Row, ...]

    @property
    def failures(self) -> int:
        """Fits without a result."""
        return sum(bool(row.result.failure) for row in self.rows)

    @property
    def seconds(self) -> float:
        """Training time of all fits, reused ones included."""
        return sum(row.result.seconds for row in self.rows)

    @property
    def reused(self) -> int:
        """Fits that were in the store before."""
        return sum(row.reused for row in self.rows)

    def light(self) -> TrialResult:
        """Return it without denoised images, which the fit store has."""
        rows = (replace(row, result=replace(row.result, denoised=None)) for row in self.rows)
        return replace(self, rows=tuple(rows))

    def with_images(self, load: Callable[[str], FitResult | None]) -> TrialResult:
        """Return it with its denoised images, as far as `load` finds results by their keys."""

        def whole(result: FitResult) -> FitResult:
            there = result.failure or result.denoised is not None
            return result if there else load(result.key) or result

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
        return {image: float(each.mean()) for image, each in values.items()}

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
        return (
            math.fsum(float(each.mean()) for each in values) / len(values) if values else math.nan
        )

    def curve(self, metric: str, condition: str) -> tuple[np.ndarray, np.ndarray]:
        """Return steps and the mean curve of a metric over all fits that succeeded."""
        good = [
            row.result
            for row in self.rows
            if row.condition == condition and not row.result.failure and metric in row.result.curves
        ]
        if not good:
            return np.array([]), np.array([])
        return good[0].steps, np.mean([result.curves[metric] for result in good], axis=0)


def _figures(rows: Sequence[Row], metric: str) -> list[float]:
    return [row.result.figures.get(metric, math.nan) for row in rows]


@dataclass(frozen=True)
class Line:
    """One line of the table of a condition.

    Attributes:
        name: Of the trial, or of the row that needs no training.
        role: `baseline`, `declared`, `search`, `reference`, or `yardstick` without training.
        values: Place among the factors.
        figures: Mean of every metric.
        difference: From the baseline, in dB, None for the baseline itself.
        verdict: One word for declared contrasts, read off the interval; else empty.
        failures: Fits without a result.
        fits: All fits.
        images: Images that it was given; in a race fewer than the baseline, once it is settled.
        whole: Those of them without a failed fit, which its means are over.
        seconds: Mean training time of a fit, with all workers busy.
        curve: Mean PSNR by step, for the sparkline.
    """

    name: str
    role: str
    values: Mapping[str, object]
    figures: Mapping[str, float]
    difference: stats.Difference | None = None
    verdict: str = ""
    failures: int = 0
    fits: int = 0
    images: int = 0
    whole: int = 0
    seconds: float = 0.0
    curve: Sequence[float] = ()

    @property
    def compared(self) -> int:
        """Images that the difference is over; without one, those that its means are over."""
        return self.difference.n if self.difference else self.whole


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Everything a study gave so far.

    Attributes:
        plan: What was asked.
        trials: In the order in which they ran; the baseline is the first.
        reference_methods: By name (`noisy`, `nl-means`): value per metric, condition and image.
        looks: Of a study that looks at its contrasts while it runs: the last look at each, by
            condition and name of the trial. It decides instead of the interval of a single look.
        confirmed: The same contrasts (and the best of a search) again, on images and with seeds that
            nothing was chosen on: a further result, with its plan, images, baseline, trials
            and looks. None if the study asks for no confirmation, or it has not begun. Where there
            is one, its verdicts are the study's findings.
        header: What the trials share, where it is known.
    """

    plan: Plan
    trials: tuple[TrialResult, ...]
    reference_methods: ReferenceMethods = field(default_factory=dict)
    looks: Mapping[tuple[str, str], stats.Look] = field(default_factory=dict)
    confirmed: StudyResult | None = None
    header: Header | None = None

    def with_confirmed(self, confirmed: StudyResult) -> StudyResult:
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
        return next(
            (trial_result for trial_result in self.trials if trial_result.trial.role == BASELINE),
            None,
        )

    @property
    def contrasts(self) -> list[TrialResult]:
        """The results of declared contrasts, in the order in which they ran."""
        return [trial_result for trial_result in self.trials if self._is_contrast(trial_result)]

    def account(self, condition: str) -> stats.Account:
        """Return where the uncertainty of the contrasts, or effects, comes from, pooled."""
        if self.plan.effects:
            return stats.account_of_effects(self._halves(condition))
        base = self.baseline.by_seed("psnr", condition) if self.baseline else {}
        firsts = [trial_result.by_seed("psnr", condition) for trial_result in self.contrasts]
        return stats.account([first for first in firsts if first], base)

    def _halves(self, condition: str) -> list[tuple[list[stats.Seeds], list[stats.Seeds]]]:
        """Return the cells of both halves of every effect that has a result."""
        declared = (
            trial_result
            for trial_result in self.trials
            if trial_result.trial.role in (BASELINE, "declared")
        )
        cells = {
            trial_result.trial.name: trial_result.by_seed("psnr", condition)
            for trial_result in declared
        }
        return [
            ([cells[name] for name in effect.plus], [cells[name] for name in effect.minus])
            for effect in self.plan.effects
            if all(cells.get(name) for name in (*effect.plus, *effect.minus))
        ]

    def lines(self, condition: str) -> list[Line]:
        """Return the table of a condition: best PSNR first, trials with failed fits last.

        A mean over the images that a trial survived says nothing beside a mean over all of them.
        Where trials were given different images, in a race, the differences are ranked instead.
        """
        lines = [self._line(trial_result, condition) for trial_result in self.trials]
        lines += self._yardstick_lines(condition, self._base(condition))
        given = {line.images for line in lines if line.images}
        return sorted(lines, key=lambda line: _place(line, uneven=len(given) > 1))

    def gain(self, trial_result: TrialResult, condition: str) -> stats.Difference | None:
        """Return one trial's difference from the baseline, None for the baseline itself.

        A contrast has the interval that its word is read off: of its family as declared, finished
        or not, or of the last look at it. Any other trial has a plain one.
        """
        if trial_result.trial.role == BASELINE:
            return None
        size = 1
        if self._is_contrast(trial_result):
            if (look := self.looks.get((condition, trial_result.trial.name))) is not None:
                return look.difference
            size = len(self.plan.contrasts)
        given = trial_result.given(condition)  # in a race the baseline has more, which are not lost
        base = {name: value for name, value in self._base(condition).items() if name in given}
        return stats.family([trial_result.by_image("psnr", condition)], base, size=size)[0]

    def raced(self, condition: str, name: str) -> tuple[int, ...]:
        """Return the images at each planned look at a contrast; empty unless there are several."""
        look = self.looks.get((condition, name))
        return look.sizes if look is not None and len(look.sizes) > 1 else ()

    def _is_contrast(self, trial_result: TrialResult) -> bool:
        # A search may come back to a declared place; what it chose gets no verdict.
        return (
            trial_result.trial.role == "declared" and trial_result.trial.name in self.plan.contrasts
        )

    def _base(self, condition: str) -> dict[str, float]:
        return self.baseline.by_image("psnr", condition) if self.baseline else {}

    def _line(self, trial_result: TrialResult, condition: str) -> Line:
        trial = trial_result.trial
        asked = self._is_contrast(trial_result)
        difference = self.gain(trial_result, condition)
        rows = [row for row in trial_result.rows if row.condition == condition]
        return Line(
            name=trial.name,
            role=trial.role,
            values=trial.values,
            figures={name: trial_result.mean(name, condition) for name in self.plan.metrics},
            difference=difference,
            verdict=difference.verdict(self.plan.study.margin) if asked and difference else "",
            failures=sum(bool(row.result.failure) for row in rows),
            fits=len(rows),
            images=len(trial_result.given(condition)),
            whole=len(trial_result.by_image("psnr", condition)),
            seconds=sum(row.result.seconds for row in rows) / max(1, len(rows)),
            curve=tuple(float(value) for value in trial_result.curve("psnr", condition)[1]),
        )

    def _yardstick_lines(self, condition: str, base: Mapping[str, float]) -> Iterable[Line]:
        for name, values in self.reference_methods.items():
            of_condition = {
                image: figures for (label, image), figures in values.items() if label == condition
            }
            psnr = {image: figures["psnr"] for image, figures in of_condition.items()}
            means = {
                metric: float(np.mean([figures[metric] for figures in of_condition.values()]))
                for metric in self.plan.metrics
            }
            yield Line(name, "yardstick", {}, means, stats.paired(psnr, base))


def _place(line: Line, *, uneven: bool) -> tuple[bool, float]:
    gap = 0.0 if line.role == BASELINE else line.difference.mean if line.difference else math.nan
    value = gap if uneven else line.figures["psnr"]
    return line.failures > 0, math.inf if math.isnan(value) else -value
