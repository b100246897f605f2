"""Tries a fit's sampler before anything is trained, and names it if it is not fit for that."""

from __future__ import annotations

from dataclasses import replace

import torch

from n2n_ablate.components import torch_state
from n2n_ablate.components.timeout import SIDE, OverdueError, seconds_for, try_corner, within
from n2n_ablate.engine.device import Machine, arithmetic
from n2n_ablate.engine.faults import told
from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.memory import require_room
from n2n_ablate.engine.train import first_step
from n2n_ablate.engine.validate_split import validate_split
from n2n_ablate.errors import PLUGIN_EXCEPTIONS, AblateError, PluginError
from n2n_ablate.registry import Entry
from n2n_ablate.registry.blame import blamed

CORNER = 64
"""Side in pixels of what a first step is tried on."""


def dry_run(fit: Fit, entry: Entry, machine: Machine, *, cut: bool = True) -> None:
    """Let the sampler of a fit cut its noisy image once, within a time limit, and look for room.

    Args:
        fit: The fit.
        entry: How its sampler is registered.
        machine: What the fit will be trained on.
        cut: False if an equal sampler has cut an image of this shape before: then only look for room.

    Raises:
        ImageError: The image is too small for the sampler, or too large for the memory.
        PluginError: The sampler fails, hangs, or its views cannot be trained on.
    """
    if cut:
        _try_cut(fit, entry)
    try:
        require_room(fit, machine)
    except AblateError:
        raise
    except PLUGIN_EXCEPTIONS as error:
        raise _stopped(fit, repr(error)) from error


def try_step(fit: Fit, machine: Machine) -> None:
    """Do the first step of a fit on a corner of its image; if that fails, on the whole image.

    The corner may be too small for what suits the image. The fit itself is left as it is.

    Raises:
        ComponentError: A component fails, or returns what training cannot go on with.
        PluginError: The step fails, and no component is known to be at fault.
    """
    if machine.type == "cuda" and not torch.cuda.is_available():
        return  # it is trained elsewhere, and would be tried as nobody will train it
    corner = replace(fit, noisy=fit.noisy[..., :CORNER, :CORNER].contiguous(), clean=None)
    devices = [machine.device] if machine.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), arithmetic(machine):
        try:
            first_step(corner, machine)
        except PLUGIN_EXCEPTIONS:
            _whole_step(fit, machine)


def _whole_step(fit: Fit, machine: Machine) -> None:
    try:
        first_step(replace(fit, clean=None), machine)
    except AblateError:
        raise
    except PLUGIN_EXCEPTIONS as error:
        raise _stopped(fit, told(error)) from error


def _stopped(fit: Fit, why: str) -> PluginError:
    shape = tuple(fit.noisy.shape)
    return PluginError(f"the first step of training fails on an image of shape {shape}: {why}")


def _try_cut(fit: Fit, entry: Entry) -> None:
    try:
        if max(fit.noisy.shape[-2:]) > SIDE:  # else the corner is the image
            try_corner(fit.sampler, fit.noisy, fit.noise)
        wrong = within(seconds_for(fit.noisy), lambda: _cut(fit))
    except AblateError:
        raise
    except OverdueError as error:
        raise blamed(entry, str(error), error, "draw") from error
    except PLUGIN_EXCEPTIONS as error:
        seen = f"fails on an image of shape {tuple(fit.noisy.shape)}: {error!r}"
        raise blamed(entry, seen, error, "draw") from error
    if wrong:
        raise blamed(entry, wrong, method="draw")


def _cut(fit: Fit) -> str:
    with torch_state.kept() as changed:
        wrong = validate_split(fit)
    return wrong or (torch_state.changes(changed) if changed else "")
