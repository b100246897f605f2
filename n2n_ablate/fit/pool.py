"""Trains many fits on one machine: sorts them into stacks and hands results over as they finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from threading import Event

import numpy as np
import torch

from n2n_ablate.components import pairs_of
from n2n_ablate.fit.device import Machine, arithmetic
from n2n_ablate.fit.job import Fit, FitResult, Listener
from n2n_ablate.fit.train import POINTS, Cancelled, prepared, train


def fit_all(
    fits: Sequence[Fit],
    machine: Machine,
    listener: Listener | None = None,
    *,
    stop: Event | None = None,
    threads: int = 1,
    points: int = POINTS,
) -> Iterator[FitResult]:
    """Train all fits and yield each result as soon as its stack is done, in no fixed order.

    On a CPU a stack is trained fit by fit, several at a time with one thread each: measured, this
    beats one wide network over all cores, because activations stay in the caches. A fit's result
    therefore depends neither on its stack mates nor on how many run beside it.

    Args:
        fits: What to train.
        machine: Where.
        listener: Called at every point of every curve.
        stop: Set it to stop within a step; closing the iterator does the same.
        threads: Threads of one fit on a CPU. More than one is for a lone fit: the order of its sums,
            and so its last digits, depend on it.
        points: Points of every curve.

    """
    closing = Event()

    def stopped() -> bool:
        return closing.is_set() or (stop is not None and stop.is_set())

    stacks = list(stacks_of(fits, machine.stack))
    workers = max(1, min(machine.workers, len(stacks)))
    pool = ThreadPoolExecutor(workers, "fit")
    waiting = {
        pool.submit(_train_stack, stack, machine, listener, stopped, threads, points)
        for stack in stacks
    }
    try:
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()
    finally:
        closing.set()
        pool.shutdown(wait=True, cancel_futures=True)


def stacks_of(fits: Sequence[Fit], largest: int) -> Iterator[list[Fit]]:
    """Sort fits into stacks of at most `largest` that can be trained together, keeping their order."""
    groups: dict[object, list[Fit]] = {}
    for fit in fits:
        groups.setdefault(_stack_key(fit) if largest > 1 else id(fit), []).append(fit)
    for group in groups.values():
        for start in range(0, len(group), largest):
            yield group[start : start + largest]


def _stack_key(fit: Fit) -> object:
    sampler = prepared(fit, fit.noisy)
    views = sampler.draw(fit.noisy, fit.rng())(fit.noisy)
    consistent = getattr(sampler, "consistent", True)
    shapes = tuple(view.shape for view in views)
    # The views of a schedule may change their shape on the way: only equal ones stay in step.
    schedule = repr(fit.sampler) if hasattr(sampler, "at") else ""
    own = (shapes, pairs_of(sampler), consistent, schedule)
    return fit.kin, fit.training.steps, fit.noisy.shape, own


def _train_stack(
    stack: list[Fit],
    machine: Machine,
    listener: Listener | None,
    stopped: Callable[[], bool],
    threads: int,
    points: int,
) -> list[FitResult]:
    if machine.type == "cpu":
        torch.set_num_threads(threads)  # holds for this worker thread only
    try:
        with arithmetic(machine):
            return train(stack, machine, listener, stopped, points=points)
    except Cancelled:
        raise
    except Exception as error:  # noqa: BLE001  components are anybody's code, and memory may run out
        if len(stack) == 1:
            return [_failed(stack[0], error)]
    # Half a stack needs half the memory, and in the end only the fit at fault is lost.
    middle = len(stack) // 2
    halves = stack[:middle], stack[middle:]
    return [
        result
        for half in halves
        for result in _train_stack(half, machine, listener, stopped, threads, points)
    ]


def _failed(fit: Fit, error: Exception) -> FitResult:
    reason = str(error).splitlines()[0][:300] if str(error) else "no message"
    return FitResult(
        key=fit.key,
        figures={},
        steps=np.array([], dtype=np.int32),
        curves={},
        denoised=None,
        seconds=0.0,
        failure=f"stopped with {type(error).__name__}: {reason}",
        passing=True,
    )
