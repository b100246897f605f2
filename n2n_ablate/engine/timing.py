"""What a fit costs in time: a few steps of it, taken apart into start, steps, points of curves, end."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import astuple, dataclass, field, replace

import torch
from torch import nn

from n2n_ablate.components import Training, declared, watchdog
from n2n_ablate.engine.curves import POINTS
from n2n_ablate.engine.device import Machine, arithmetic
from n2n_ablate.engine.faults import steps_of
from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.train import train

_LARGE = 2**15  # pixels from which a few steps are enough to tell a step from noise


@dataclass(frozen=True)
class Cost:
    """Seconds of one fit while all workers are busy, or of its share of a stack."""

    start: float  # until the first step
    step: float  # one step
    point: float  # one point of the curves
    end: float  # the last point, in full precision, and the result

    def of(self, fit: Fit) -> float:
        """Return the seconds that a whole fit takes."""
        steps = steps_of(fit.training)
        return self.start + self.step * steps + self.point * (min(steps, POINTS) - 1) + self.end

    def scaled(self, small: Cost, large: Cost) -> Cost:
        """Return this cost on images on which a step takes `large` and not `small`.

        By the steps alone: a point is a difference of two times, and may have been measured as nothing.
        """
        factor = large.step / small.step
        return Cost(self.start, self.step * factor, self.point * factor, self.end * factor)


def cost_of(fits: Sequence[Fit], machine: Machine) -> Cost:
    """Time a few steps of fits, side by side on a CPU, as one stack on a GPU.

    `fits`: at most as many as are trained at once; all of one form.
    """
    stacks = [list(fits)] if machine.type == "cuda" else [[fit] for fit in fits]
    workers: set[int] = set()
    pool = ThreadPoolExecutor(len(stacks))

    def timed(stack: list[Fit]) -> Cost:
        workers.add(threading.get_ident())
        return _timed(stack, machine)

    with arithmetic(machine):
        try:
            futures = [pool.submit(timed, stack) for stack in stacks]
            while wait(futures, timeout=1.0).not_done:
                watchdog.require_ends(workers)
            costs = [future.result() for future in futures]
        finally:
            pool.shutdown(wait=not watchdog.hangs(), cancel_futures=True)
    share = max(map(len, stacks))
    parts = zip(*map(astuple, costs), strict=True)
    return Cost(*(statistics.fmean(part) / share for part in parts))


def _length(fit: Fit, machine: Machine) -> tuple[int, int]:
    """Return how many steps to train, and how many of the first ones do not count.

    Those choose and build kernels, and on a GPU record the step.
    """
    if machine.type == "cuda":
        return 16, 6
    return (4 if fit.noisy[0, 0].numel() >= _LARGE else 6), 1


def _timed(stack: Sequence[Fit], machine: Machine) -> Cost:
    if machine.type == "cpu":
        torch.set_num_threads(1)
    steps, warm = _length(stack[0], machine)
    clock = _Clock(machine)
    cut = [replace(fit, training=_Short(fit.training, steps, clock)) for fit in stack]
    begin = time.perf_counter()
    height, width = stack[0].noisy.shape[-2:]
    with watchdog.time_limit(watchdog.seconds_for(height, width, len(stack)), "training"):
        train(cut, machine, points=2)  # in the middle, and at the end
    end, at = time.perf_counter(), clock.steps
    gaps = [at[step + 1] - at[step] for step in range(steps - 1)]
    middle = steps // 2 - 1
    step = statistics.median(gap for n, gap in enumerate(gaps) if n >= warm and n != middle)
    return Cost(
        start=at[0] - begin,
        step=step,
        point=max(0.0, gaps[middle] - step),
        end=max(0.0, end - at[steps - 1] - step),
    )


class _Clock:
    """When each step of a training began."""

    def __init__(self, machine: Machine) -> None:
        self.steps: dict[int, float] = {}
        self._machine = machine

    def tick(self, step: int) -> None:
        if step in self.steps:  # fits of a stack may have an optimiser each
            return
        if self._machine.type == "cuda":
            torch.cuda.synchronize(self._machine.device)
        self.steps[step] = time.perf_counter()


@dataclass(frozen=True)
class _Short:
    """A training cut to a few steps, which tells when each begins."""

    inner: Training
    steps: int
    clock: _Clock = field(compare=False)

    @property
    def elementwise(self) -> bool:
        return bool(declared(self.inner, "elementwise", False))

    @property
    def crop(self) -> int:
        return int(declared(self.inner, "crop", 0))

    def optimizer(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return self.inner.optimizer(weights)

    def learning_rate(self, step: int) -> float:
        self.clock.tick(step)
        return self.inner.learning_rate(step)
