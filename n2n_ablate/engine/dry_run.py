"""Tries a fit before anything is trained: its sampler cuts the image, memory suffices, one step works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from n2n_ablate.components import (
    Sampler,
    at_step,
    declares,
    pairs_of,
    probe_steps,
    watchdog,
)
from n2n_ablate.components.torch_state import changes, preserve_torch_state
from n2n_ablate.engine.device import Machine, arithmetic
from n2n_ablate.engine.faults import ComponentError, steps_of
from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.memory import require_room
from n2n_ablate.engine.train import first_step, prepared
from n2n_ablate.errors import AblateError, PluginError
from n2n_ablate.registry import Entry
from n2n_ablate.registry.entry import component_context, describe

CORNER = 64
"""Side in pixels of what a first step is tried on."""


def dry_run(
    fit: Fit,
    entries: Mapping[str, Entry],
    machine: Machine,
    *,
    split: bool = True,
    step: bool = True,
) -> None:
    """Let the sampler of a fit cut its noisy image, look for room, and do one step.

    The fit itself is left as it is.

    `entries`: how its components are registered, by kind; `split`: False if an equal sampler has cut an image
    of this shape before; `step`: False if equal components have done a step before.

    Raises:
        ImageError: The image is too small for the sampler, or too large for the memory.
        PluginError: A component fails, does not come back, or returns what cannot be trained on.
    """
    with named(entries):
        if split:
            problem = f"fails on an image of shape {tuple(fit.noisy.shape)}"
            with component_context(entries["sampler"], problem, "draw", _seconds(fit)):
                wrong = validate_split(fit)
            if wrong:
                raise entries["sampler"].error(wrong, "draw")
        with _first_step(fit):
            require_room(fit, machine)
        if step and (machine.type != "cuda" or torch.cuda.is_available()):
            _try_step(fit, entries, machine)  # elsewhere it would be tried as nobody will train it


@contextmanager
def named(entries: Mapping[str, Entry]) -> Iterator[None]:
    """Give what a component does wrong its name, file and line.

    `entries`: the components, by kind; a metric by `metric:` and its column.
    """
    try:
        yield
    except ComponentError as error:
        context = error.blame
        entry = entries[f"metric:{context.column}" if context.kind == "metric" else context.kind]
        raise entry.error(error.problem, context.method, error.__cause__) from error


def validate_split(fit: Fit) -> str:
    """Draw splits for the noisy image of a fit and cut it; say what is wrong, empty if nothing is.

    One split, or for a schedule those of a few steps from its first to its last.
    """
    noisy = fit.noisy.clone()
    sampler = prepared(fit, noisy)
    steps = steps_of(fit.training)
    for step in probe_steps(steps) if declares(sampler, "at") else (0,):
        if wrong := _wrong_cut(at_step(sampler, step, steps), sampler, noisy, fit):
            return f"{wrong} (at step {step} of {steps})" if step else wrong
    return ""


def _try_step(fit: Fit, entries: Mapping[str, Entry], machine: Machine) -> None:
    corner = replace(fit, noisy=fit.noisy[..., :CORNER, :CORNER].contiguous(), clean=None)
    devices = [machine.device] if machine.type == "cuda" else []
    with (
        preserve_torch_state() as changed,
        torch.random.fork_rng(devices=devices),
        arithmetic(machine),
    ):
        try:
            with _first_step(corner):
                first_step(corner, machine)
        except AblateError as error:  # the corner may be too small for what suits the image
            if isinstance(error.__cause__, watchdog.Overdue | watchdog.OverdueError):
                raise
            with _first_step(fit):
                first_step(replace(fit, clean=None), machine)
    if changed:
        names = ", ".join(map(str, entries.values()))
        msg = f"one of {names} {changes(changed)}; n2n-ablate check says which"
        raise PluginError(msg)


@contextmanager
def _first_step(fit: Fit) -> Iterator[None]:
    what = f"the first step of training fails on an image of shape {tuple(fit.noisy.shape)}"
    try:
        with watchdog.time_limit(_seconds(fit), "the first step of training"):
            yield
    except (AblateError, KeyboardInterrupt):
        raise
    except BaseException as error:
        msg = f"{what}: {describe(error)}"
        raise PluginError(msg) from error


def _seconds(fit: Fit) -> float:
    height, width = fit.noisy.shape[-2:]
    return watchdog.seconds_for(height, width)


def _wrong_cut(now: Sampler, sampler: Sampler, noisy: Tensor, fit: Fit) -> str:
    split = now.draw(noisy, fit.rng("sampler"))
    if not callable(split):
        return f"must return a function from image to views from draw, got {split!r:.80}"
    views: object = split(noisy)
    if not torch.equal(noisy, fit.noisy):
        return "writes into the image that it is given; it must copy"
    if not isinstance(views, tuple | list) or not all(isinstance(view, Tensor) for view in views):
        return f"must cut into a tuple of views, got {views!r:.80}"
    for i, j in pairs_of(sampler):
        if not (0 <= i < len(views) and 0 <= j < len(views)):
            return f"declares a pair of the views {i} and {j}, but its split returns {len(views)}"
        if wrong := _wrong_pair(views[i], views[j]):
            return wrong
    return ""


def _wrong_pair(first: Tensor, second: Tensor) -> str:
    if first.shape != second.shape or not first.numel():
        shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
        return f"cuts into views that cannot train each other, of shapes {shapes}"
    for view in (first, second):
        if not bool(view.isfinite().all()):
            lost = int((~view.isfinite()).sum())
            return f"cuts into a view with {lost} of {view.numel()} values NaN or infinite"
    return ""
