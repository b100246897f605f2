"""How much memory a fit takes, measured on two small crops; and how many fits a GPU holds at once."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from n2n_ablate.components import declared
from n2n_ablate.engine.device import Machine, arithmetic
from n2n_ablate.engine.fit import Fit
from n2n_ablate.engine.train import train
from n2n_ablate.engine.window import window_of
from n2n_ablate.errors import AblateError, ImageError

_PROBES = (96, 192)  # sides in pixels
_SURE = 1_000_000  # pixels that fit into any memory
_USABLE = 0.9  # of what is free


@dataclass(frozen=True)
class _Uncounted:
    """What training takes beside the bytes that torch counts: measured with `VmHWM`, 96 to 768 px."""

    fixed: float
    factor: float


_UNCOUNTED = {
    "kernel": _Uncounted(2e6, 1.05),  # its buffers are torch's
    "fp32": _Uncounted(15e6, 1.3),  # torch's kernels rearrange images into further buffers
    "bf16": _Uncounted(20e6, 1.0),
    "cuda": _Uncounted(60e6, 1.0),
}


@dataclass(frozen=True)
class Memory:
    """Peak memory of one fit: a fixed part and a part for every pixel, in bytes."""

    fixed: float
    per_pixel: float

    def of(self, pixels: int) -> int:
        """Return the bytes that a fit on an image (or crop) of so many pixels takes."""
        return int(self.fixed + self.per_pixel * pixels)


def memory_of(fit: Fit, machine: Machine) -> Memory:
    """Measure two trainings of one step. The metrics count too, the noisy image itself does not."""
    small, large = _PROBES
    _peak(_tiled(fit, small), machine)  # the first run allocates what later ones find
    low, high = (_peak(_tiled(fit, side), machine) for side in _PROBES)
    slope = (high - low) / (large**2 - small**2)
    return Memory(max(0.0, low - slope * small**2) + _uncounted(machine).fixed, slope)


def require_room(fit: Fit, machine: Machine) -> None:
    """Check that a fit on a large image fits into the memory, where that is this machine's.

    Raises:
        ImageError: It does not; the message says how much it takes and which crop would fit.
    """
    height, width = window_of(fit)
    elsewhere = machine.type == "cuda" and not torch.cuda.is_available()
    if height * width <= _SURE or elsewhere:
        return
    memory, free = memory_of(fit, machine), free_memory(machine)
    usable = _USABLE * free
    # Fits side by side share the memory; one at a time is the least that has to be possible.
    needed = memory.of(height * width)
    if needed > usable:
        side = int(max(64.0, ((usable - memory.fixed) / memory.per_pixel) ** 0.5) // 64 * 64)
        msg = (
            f"training on {height}x{width} pixels takes about {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free. Train on crops with --set training.crop={side}, "
            f"or use a part of the image with --crop {side}."
        )
        raise ImageError(msg)


def room_for(fit: Fit, machine: Machine) -> float:
    """Return how many fits like this one the free memory of a GPU holds at once, measured on small ones."""
    height, width = window_of(fit)
    memory = memory_of(fit, machine)
    fixed = _uncounted(machine).fixed  # shared by the fits of a stack
    each = max(1, memory.of(height * width) - fixed)
    return (_USABLE * free_memory(machine) - fixed) / each


class StackSizeCache:
    """The largest stacks that fit into memory, by the form of their fits; empty at first.

    It outlives a call of `fit_all`, so that what one batch of fits has learned spares the next the
    same error, or the same measurement. May be used from any thread.
    """

    def __init__(self) -> None:
        self._known: dict[object, float] = {}

    def limit(self, fit: Fit) -> float:
        """Return how many fits like this one may be trained at once; infinity if nothing is known."""
        return self._known.get(_form(fit), math.inf)

    def learn(self, fit: Fit, size: float) -> None:
        """Remember that not more than `size` fits like this one, at least one, fit into memory."""
        self._known[_form(fit)] = max(1, min(size, self.limit(fit)) // 1)

    def foretell(self, fit: Fit, size_of: Callable[[Fit], float]) -> None:
        """Ask `size_of` how many such fits there is room for, unless something is known already."""
        if _form(fit) not in self._known:
            self.learn(fit, size_of(fit))


def _form(fit: Fit) -> object:
    """What memory depends on: networks, loss, estimator, sizes, and how many views are cut."""
    try:
        window = window_of(fit)
    except AblateError:  # training says what is wrong
        return fit.key
    return fit.stack_key, tuple(fit.noisy.shape), window, type(fit.sampler)


def free_memory(machine: Machine) -> int:
    """Return the bytes that this process may still take on the device."""
    if machine.type == "cuda":
        device = machine.device
        # What torch keeps for later use is free for this process.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    free = [int(1e15)]
    with contextlib.suppress(OSError, AttributeError, IndexError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        free.append(1024 * int(re.findall(r"MemAvailable:\s+(\d+) kB", text)[0]))
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        free.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
    return min(free)


def _tiled(fit: Fit, side: int) -> Fit:
    """Return the fit on an image of side x side pixels, made of its repetitions."""
    h, w = fit.noisy.shape[-2:]
    times = (1, 1, -(-side // h), -(-side // w))

    def cut(image: torch.Tensor) -> torch.Tensor:
        return image.repeat(*times)[..., :side, :side].contiguous()

    training = _OneStep(fit.training)
    clean = None if fit.clean is None else cut(fit.clean)
    return replace(fit, noisy=cut(fit.noisy), clean=clean, training=training)


class _OneStep:
    """A training cut to one step on the whole image."""

    steps, crop = 1, 0

    def __init__(self, inner: Any) -> None:
        self.elementwise = declared(inner, "elementwise", False)
        self.optimizer, self.learning_rate = inner.optimizer, inner.learning_rate


def _peak(fit: Fit, machine: Machine) -> float:
    with arithmetic(machine):
        if machine.type == "cuda":
            torch.cuda.reset_peak_memory_stats(machine.device)
            before = torch.cuda.memory_allocated(machine.device)
            train([fit], machine, points=1)
            return torch.cuda.max_memory_allocated(machine.device) - before
        # Read at the first use: without it the profiler writes a log to the terminal.
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
            train([fit], machine, points=1)
    return _uncounted(machine).factor * _highest(profile)


def _uncounted(machine: Machine) -> _Uncounted:
    if machine.type == "cuda":
        return _UNCOUNTED["cuda"]
    return _UNCOUNTED["kernel" if machine.way == "kernel" else machine.precision]


def _highest(profile: torch.profiler.profile) -> float:
    """Return the largest number of bytes that were allocated at one time."""
    # The trace is the profiler's only public account of single allocations.
    with tempfile.TemporaryDirectory(prefix="n2n-ablate-") as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = [event for event in events if event.get("name") == "[memory]"]
    now = highest = 0
    for change in sorted(changes, key=lambda event: float(event["ts"])):
        now += int(change["args"]["Bytes"])
        highest = max(highest, now)
    return float(highest)
