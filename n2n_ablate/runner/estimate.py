"""What a plan will take in time and memory: a few steps of each kind of recipe, measured here."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import nn

from n2n_ablate.components import Training, watchdog
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.engine import Fit, Machine, memory_of
from n2n_ablate.engine.device import arithmetic
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.train import train
from n2n_ablate.engine.window import window_of
from n2n_ablate.errors import AblateError, PluginError
from n2n_ablate.registry.failures import describe
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.study import Plan

_WARM, _TIMED = 4, 16
_REST = 1.08  # an allowance for what is not a step: metrics, curves, stores and pictures


@dataclass(frozen=True)
class Estimate:
    """What a plan costs.

    Attributes:
        trials: Trials that the plan has budget for.
        fits: Fits of all trials.
        stored: Fits among the known trials whose result is in the store.
        seconds: Expected time for the rest, training and everything around it.
        memory: Peak of the training in bytes, of all fits that run side by side.
    """

    trials: int
    fits: int
    stored: int
    seconds: float
    memory: int


@dataclass(frozen=True)
class _Short:
    """A training cut to a few steps."""

    inner: Training
    steps: int

    def optimizer(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return self.inner.optimizer(weights)

    def learning_rate(self, step: int) -> float:
        return self.inner.learning_rate(step)


def estimate(plan: Plan, paired_data: PairedData, store: FitStore, *, more: int = 0) -> Estimate:
    """Time a few steps of every kind of recipe and add up what is not in the store yet.

    Args:
        plan: The plan.
        paired_data: Its images.
        store: Where finished fits are.
        more: Trials that are not known yet, beside those that a search may choose.
    """
    per_step: dict[object, float] = {}
    seconds, stored = 0.0, 0
    trials = [*plan.fixed, *[plan.baseline] * (plan.searched + more)]
    for place, trial in enumerate(trials):
        fits = paired_data.fits(trial.recipe)
        kind = _kind(trial.recipe)
        if kind not in per_step:
            per_step[kind] = seconds_per_step(fits, paired_data.machine)
        for fit in fits:
            if place < len(plan.fixed) and store.path(fit.key).exists():
                stored += 1
            else:
                seconds += per_step[kind] * fit.training.steps
    count = len(trials) * len(paired_data.samples)
    memory = _memory(paired_data.fits(plan.baseline.recipe), paired_data.machine)
    return Estimate(len(trials), count, stored, seconds * _REST, memory)


def _memory(fits: list[Fit], machine: Machine) -> int:
    largest = max(fits, key=lambda fit: fit.noisy[0, 0].numel())
    height, width = window_of(largest)
    side_by_side = min(len(fits), max(machine.workers, machine.stack))
    return side_by_side * memory_of(largest, machine).of(height * width)


def seconds_per_step(fits: list[Fit], machine: Machine) -> float:
    """Return seconds per step and fit with all workers busy, as they are in a study.

    Raises:
        PluginError: A component fails while it is being trained.
    """
    at_once = machine.workers if machine.type == "cpu" else min(machine.stack, len(fits))
    sample = [fits[place % len(fits)] for place in range(at_once)]
    try:
        _timed(sample, machine, _WARM)  # the first pass also chooses and builds the kernels
        short = _timed(sample, machine, _WARM)
        long = _timed(sample, machine, _WARM + _TIMED)
    except (AblateError, KeyboardInterrupt):
        raise
    except BaseException as error:
        msg = f"a component fails in training: {describe(error)}"
        raise PluginError(msg) from error
    return max(1e-6, (long - short) / _TIMED / len(sample))


def _timed(fits: list[Fit], machine: Machine, steps: int) -> float:
    cut = [replace(fit, training=_Short(fit.training, steps), metrics={}) for fit in fits]
    stacks = [[fit] for fit in cut] if machine.type == "cpu" else [cut]

    def run(stack: list[Fit]) -> None:
        if machine.type == "cpu":
            torch.set_num_threads(1)
        height, width = stack[0].noisy.shape[-2:]
        with watchdog.time_limit(watchdog.seconds_for(height, width, len(stack)), "training"):
            train(stack, machine, points=1)

    with arithmetic(machine), ThreadPoolExecutor(len(stacks)) as pool:
        start = time.perf_counter()
        list(pool.map(run, stacks))
        return time.perf_counter() - start


def _kind(recipe: Recipe) -> object:
    heavy = [recipe.specs[kind] for kind in ("backbone", "loss")]
    return recipe.specs["sampler"].name, *heavy
