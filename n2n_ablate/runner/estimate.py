"""What a plan will take in time and memory: a few steps of each kind of recipe, measured here."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.engine import Fit, Machine, memory_of
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.timing import Cost, cost_of
from n2n_ablate.engine.window import window_of
from n2n_ablate.errors import AblateError, PluginError
from n2n_ablate.registry.entry import describe
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.study import Plan

_REST = 1.15  # what is not training: stores, classical denoisers, figures, the tracker; measured
_CORNER = 64
"""Side in pixels of what kinds of recipe are compared on, a fit at a time on a CPU. How they differ
depends little on the size, and a step of a large image would take seconds for each of them."""
_TRACKER = 5.0  # seconds: MLflow starts beside the first fits and ends after the last, measured
_TRUST = 0.1  # of the whole study: how much training it takes to believe the clock as much as the estimate


@dataclass(frozen=True)
class Estimate:
    """What a plan costs."""

    trials: int  # trials that the plan has budget for
    fits: int  # fits of all trials
    stored: int  # fits among the known trials whose result is in the store
    seconds: float  # expected time for the rest, training and everything around it
    by_trial: Mapping[str, float]  # the part of each known trial
    searched: float  # the part of each trial that a search chooses


@dataclass
class PlanTimer:
    """Estimates plans of one study; what it has measured for one it knows for the next."""

    store: FitStore  # where finished fits are
    width: int  # fits trained at once, see `Executor.width`
    refit: bool = False  # whether they are trained all the same
    _costs: dict[object, Cost] = field(default_factory=dict)

    def estimate(self, plan: Plan, paired_data: PairedData, *, more: int = 0) -> Estimate:
        """Time a few steps of every kind of recipe and add up what is not in the store yet.

        `more`: trials that are not known yet, beside those that a search may choose.
        """
        stored, by_trial = 0, {}
        idle = self._idle(len(paired_data.samples))
        for trial in plan.fixed:
            fits = paired_data.fits(trial.recipe)
            missing = [fit for fit in fits if self.refit or not self.store.path(fit.key).exists()]
            stored += len(fits) - len(missing)
            by_trial[trial.name] = idle * self._seconds(trial.recipe, paired_data, missing)
        unknown = plan.searched + more
        baseline = plan.baseline.recipe
        searched = paired_data.fits(baseline) if unknown else []
        each = idle * self._seconds(baseline, paired_data, searched)
        count = len(plan.fixed) + unknown
        return Estimate(
            trials=count,
            fits=count * len(paired_data.samples),
            stored=stored,
            seconds=sum(by_trial.values()) + unknown * each,
            by_trial=by_trial,
            searched=each,
        )

    def _seconds(self, recipe: Recipe, paired_data: PairedData, fits: Sequence[Fit]) -> float:
        if not fits:
            return 0.0
        cost, first = self._cost(recipe, paired_data), paired_data.samples[0].noisy
        side_by_side = paired_data.machine.workers if paired_data.machine.type == "cpu" else 1
        each = (cost.of(fit) * fit.noisy.numel() / first.numel() for fit in fits)
        return _REST * sum(each) / side_by_side

    def _idle(self, subjects: int) -> float:
        """Return by how much workers without work at the end of a batch of trials draw it out."""
        batch = max(1, math.ceil(self.width / subjects)) * subjects
        return math.ceil(batch / self.width) * self.width / batch

    def _cost(self, recipe: Recipe, paired_data: PairedData) -> Cost:
        fits = _sample(paired_data.fits(recipe), paired_data.machine)
        key = _kind(recipe), fits[0].noisy.shape, window_of(fits[0])
        if key not in self._costs:
            baseline = paired_data.plan.baseline.recipe
            self._costs[key] = self._measured(recipe, baseline, paired_data, fits)
        return self._costs[key]

    def _measured(
        self, recipe: Recipe, baseline: Recipe, paired_data: PairedData, fits: Sequence[Fit]
    ) -> Cost:
        small, machine = _corners(fits, paired_data.machine), paired_data.machine
        try:
            if not self._costs:
                cost_of(fits[:1] if small is None else small, machine)  # loads what all need
            if small is None or _kind(recipe) == _kind(baseline):
                return cost_of(fits, machine)
            # A corner may be too small for what suits the image.
            with contextlib.suppress(Exception):
                return cost_of(small, machine).scaled(*self._baseline(paired_data))
            return cost_of(fits, machine)
        except AblateError:
            raise
        except Exception as error:  # torch has errors of many kinds
            msg = f"a component fails in training: {describe(error)}"
            raise PluginError(msg) from error

    def _baseline(self, paired_data: PairedData) -> tuple[Cost, Cost]:
        """Return what the baseline costs on a corner, and on the whole image."""
        recipe = paired_data.plan.baseline.recipe
        corner = _corners(paired_data.fits(recipe), paired_data.machine)
        assert corner is not None, "another recipe has one on the same images"
        key = _kind(recipe), corner[0].noisy.shape
        if key not in self._costs:
            self._costs[key] = cost_of(corner, paired_data.machine)
        return self._costs[key], self._cost(recipe, paired_data)


class Forecast:
    """How long the rest of a study takes: as estimated before, corrected by what fits took.

    Args:
        confirmation: Of the confirmation, None without one.
        tracked: Whether MLflow is written beside.

    Attributes:
        seconds: Expected in all.
    """

    def __init__(
        self, study: Estimate, confirmation: Estimate | None = None, *, tracked: bool = False
    ) -> None:
        self._stages = [study, *([confirmation] if confirmation else [])]
        self._training = self._open = sum(stage.seconds for stage in self._stages)
        self.seconds = self._training + (_TRACKER if tracked else 0.0)
        self._began = time.monotonic()

    def finished(self, trial: str, *, confirmed: bool = False) -> float:
        """Return the seconds that are left now that a trial is finished."""
        stage = self._stages[min(int(confirmed), len(self._stages) - 1)]
        self._open = max(0.0, self._open - stage.by_trial.get(trial, stage.searched))
        trust = _TRUST * self._training
        took = time.monotonic() - self._began
        return self._open * (took + trust) / max(self._training - self._open + trust, 1e-9)


def peak_memory(paired_data: PairedData) -> int:
    """Return the bytes that the baseline's fits take, all that run side by side, at their peak."""
    fits = paired_data.fits(paired_data.plan.baseline.recipe)
    largest = max(fits, key=lambda fit: fit.noisy[0, 0].numel())
    height, width = window_of(largest)
    side_by_side = min(len(fits), max(paired_data.machine.workers, paired_data.machine.stack))
    return side_by_side * memory_of(largest, paired_data.machine).of(height * width)


def _sample(fits: Sequence[Fit], machine: Machine) -> list[Fit]:
    """Return as many fits of the first one's shape as are trained at once."""
    alike = [fit for fit in fits if fit.noisy.shape == fits[0].noisy.shape]
    if machine.type == "cuda":
        return alike[: machine.stack]
    return [alike[index % len(alike)] for index in range(machine.workers)]


def _corners(fits: Sequence[Fit], machine: Machine) -> list[Fit] | None:
    """Return the fits on a corner of their images, None if that is no less."""
    if max(window_of(fits[0])) <= _CORNER:
        return None

    def corner(image: Tensor) -> Tensor:
        return image[..., :_CORNER, :_CORNER].contiguous()

    parts = fits if machine.type == "cuda" else fits[:1]
    cleans = [None if fit.clean is None else corner(fit.clean) for fit in parts]
    return [
        replace(fit, noisy=corner(fit.noisy), clean=clean)
        for fit, clean in zip(parts, cleans, strict=True)
    ]


def _kind(recipe: Recipe) -> object:
    """What the time depends on; numbers of a sampler or an estimator do not change it."""
    kinds: list[object] = [recipe.specs[kind] for kind in ("backbone", "loss")]
    for kind in ("sampler", "estimator", "training"):
        spec = recipe.specs[kind]
        counts = {
            name: value
            for name, value in spec.parameters.items()
            if isinstance(value, ComponentSpec | tuple) or name == "crop"
        }
        kinds.append(ComponentSpec(spec.name, counts))
    return tuple(kinds)
