"""Trains many fits on one machine: sorts them into stacks and hands results over as they finish."""

from __future__ import annotations

import contextlib
import gc
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import torch

from n2n_ablate.components import declared, declares, mask_of, pairs_of, watchdog
from n2n_ablate.engine.curves import POINTS
from n2n_ablate.engine.device import Machine, arithmetic, require_alive
from n2n_ablate.engine.faults import SAMPLER, reason, steps_of
from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.memory import StackSizeCache, room_for
from n2n_ablate.engine.train import Cancelled, prepared, train
from n2n_ablate.engine.window import window_of
from n2n_ablate.errors import AblateError
from n2n_ablate.records import FitResult
from n2n_ablate.records.fit import Listener


def fit_all(
    fits: Sequence[Fit],
    machine: Machine,
    listener: Listener | None = None,
    *,
    threads: int = 1,
    points: int = POINTS,
    note: Callable[[str], None] = lambda _: None,
    sizes: StackSizeCache | None = None,
) -> Iterator[FitResult]:
    """Train all fits and yield each result as soon as its stack is done, in no fixed order.

    On a CPU a stack is trained fit by fit, several at a time with one thread each: measured, this
    beats one wide network over all cores, because activations stay in the caches. A fit's result
    therefore depends neither on its stack mates nor on how many run beside it.

    Closing the iterator stops the training within a step.

    `listener`: called at every point of every curve; `threads`: threads of one fit on a CPU. More than one is
    for a lone fit: the order of its sums, and so its last digits, depend on it. `note`: told what a user
    should know, from any thread; `sizes`: what is known of memory; more is learned here.

    Raises:
        DeviceError: The GPU has stopped, so that no further fit can be trained.
    """
    closing = Event()
    sizes = StackSizeCache() if sizes is None else sizes
    stacks = list(stacks_of(fits, machine.stack, sizes, _room(machine)))
    workers = max(1, min(machine.workers, len(stacks)))
    pool = ThreadPoolExecutor(workers, "fit")
    trainer = _Trainer(machine, listener, closing.is_set, threads, points, note, sizes)
    try:  # Ctrl-C may come while the first thread is already training
        waiting = {pool.submit(trainer.train, stack) for stack in stacks}
        while waiting:
            done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
            watchdog.require_ends(trainer.workers)
            for future in done:
                yield from future.result()
    finally:
        closing.set()
        pool.shutdown(wait=not watchdog.hangs(), cancel_futures=True)


def stacks_of(
    fits: Sequence[Fit],
    most: int,
    sizes: StackSizeCache | None = None,
    room: Callable[[Fit], float] | None = None,
) -> Iterator[list[Fit]]:
    """Sort fits into stacks that can be trained together, keeping their order.

    `room`: foretells how many fits like one there is room for; asked where nothing is known yet.
    """
    sizes = StackSizeCache() if sizes is None else sizes
    groups: dict[object, list[Fit]] = {}
    for fit in fits:
        groups.setdefault(_stack_key(fit) if most > 1 else fit.key, []).append(fit)
    for group in groups.values():
        if room is not None and min(most, len(group)) > 1:
            sizes.foretell(group[0], room)
        size = int(min(most, sizes.limit(group[0])))
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _room(machine: Machine) -> Callable[[Fit], float] | None:
    """Return what foretells how many fits the device holds at once; a CPU trains them one by one."""
    if machine.type != "cuda":
        return None

    def room(fit: Fit) -> float:
        try:
            return room_for(fit, machine)
        except Exception:  # noqa: BLE001  training says what is wrong; running out of memory is no end
            require_alive(machine)
            return math.inf

    return room


def _stack_key(fit: Fit) -> object:
    try:
        with SAMPLER:
            return _form(fit)
    except AblateError:  # training alone says what is wrong
        return fit.key


def _form(fit: Fit) -> object:
    """Return what has to be equal for fits to stay in step."""
    sampler = prepared(fit, fit.noisy)
    height, width = window_of(fit)
    window = fit.noisy[..., :height, :width]
    split = sampler.draw(window, fit.rng("sampler"))
    views, mask = split(window), mask_of(split)
    supports_consistency = declared(sampler, "supports_consistency", True)
    shapes = tuple(view.shape for view in views)
    # The views of a schedule may change their shape on the way: only equal ones stay in step.
    schedule = repr(fit.sampler) if declares(sampler, "at") else ""
    replaces_input = bool(declared(sampler, "replaces_input", False))
    hides = None if mask is None else mask.shape
    behaviour = (shapes, pairs_of(sampler), supports_consistency, schedule, replaces_input, hides)
    return fit.stack_key, steps_of(fit.training), fit.noisy.shape, window.shape, behaviour


@dataclass
class _Trainer:
    """Trains stacks, and halves those that fail.

    Half a stack needs half the memory, and in the end only the fit at fault is lost.
    """

    machine: Machine
    listener: Listener | None
    stopped: Callable[[], bool]
    threads: int
    points: int
    note: Callable[[str], None]
    sizes: StackSizeCache
    workers: set[int] = field(default_factory=set)  # threads that train

    def train(self, stack: Sequence[Fit]) -> list[FitResult]:
        """Train one stack, in parts if it has to be."""
        if len(stack) > self.sizes.limit(stack[0]):
            return self._in_parts(stack)
        if self.machine.type == "cpu":
            torch.set_num_threads(self.threads)  # holds for this worker thread only
        height, width = stack[0].noisy.shape[-2:]
        seconds = watchdog.seconds_for(height, width, len(stack))
        self.workers.add(threading.get_ident())
        try:
            with watchdog.time_limit(seconds, "training"), arithmetic(self.machine):
                return train(
                    stack,
                    self.machine,
                    self.listener,
                    self.stopped,
                    points=self.points,
                    note=self.note,
                )
        except (Cancelled, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  components are anybody's code, and memory may run out
            require_alive(self.machine)
            if len(stack) == 1:
                return [failed(stack[0], reason(stack[0], error))]
            if isinstance(error, torch.OutOfMemoryError):
                self._shrink(stack)
        return self._in_parts(stack)

    def _in_parts(self, stack: Sequence[Fit]) -> list[FitResult]:
        # Outside of the handler: an error that is being handled keeps its tensors alive.
        if self.machine.type == "cuda":
            gc.collect()  # what a broken step left in cycles holds memory too
            with contextlib.suppress(RuntimeError):  # a fit may still be trained without it
                torch.cuda.empty_cache()
        middle = len(stack) // 2
        return self.train(stack[:middle]) + self.train(stack[middle:])

    def _shrink(self, stack: Sequence[Fit]) -> None:
        half = math.ceil(len(stack) / 2)
        self.sizes.learn(stack[0], half)
        self.note(
            f"{len(stack)} fits at once do not fit into the memory of {self.machine.name}; "
            f"going on with {half}"
        )


def failed(fit: Fit, reason: str) -> FitResult:
    """Return the result of a fit that was lost to something that need not come again."""
    return FitResult(
        key=fit.key,
        figures={},
        steps=np.array([], dtype=np.int32),
        curves={},
        denoised=None,
        seconds=0.0,
        failure=reason,
        passing=True,
    )
