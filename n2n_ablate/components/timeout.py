"""A time limit for code of plugins: what hangs is known by the line at which it stands."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import torch
from torch import Tensor

from n2n_ablate.components import Noise, Sampler, prepare_sampler, torch_state
from n2n_ablate.errors import PLUGIN_EXCEPTIONS

LIMIT = 10.0
"""Seconds that a cut of `SIDE` x `SIDE` pixels may take; larger images have more, in proportion."""

SIDE = 32

_Result = TypeVar("_Result")
_left_behind: list[threading.Thread] = []


class OverdueError(Exception):
    """Work that did not come to an end. Its traceback is that of the work, as far as it had come."""


def within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Do some work and return its result, or stop waiting for it.

    Python cannot end a thread, so work that hangs goes on in the background; see `hangs`.

    Raises:
        OverdueError: The time is over.
        Exception: Whatever the work raises.
    """
    done: list[_Result] = []
    failed: list[BaseException] = []
    gradients, threads = torch.is_grad_enabled(), torch.get_num_threads()  # each thread has its own

    def run() -> None:
        torch.set_num_threads(threads)
        try:
            with torch.set_grad_enabled(gradients), torch_state.kept():
                done.append(work())
        except BaseException as error:  # noqa: BLE001  raised again below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        _left_behind.append(thread)
        msg = f"did not come to an end within {seconds:g} s"
        raise OverdueError(msg).with_traceback(_where(thread))
    return done[0]


def hangs() -> bool:
    """Return whether work that nobody waits for any more still goes on."""
    return any(thread.is_alive() for thread in _left_behind)


def seconds_for(image: Tensor) -> float:
    """Return how long a sampler may take for an image, (..., h, w)."""
    return LIMIT * max(1.0, image.shape[-2] * image.shape[-1] / SIDE**2)


def try_corner(sampler: Sampler, image: Tensor, noise: Noise | None) -> None:
    """Let a sampler cut a corner of an image, so that one that hangs is known after `LIMIT`.

    Nothing else is said of it: the corner may be too small for what suits the image.

    Args:
        sampler: As it is registered, not prepared.
        image: Shape (1, c, h, w).
        noise: What `prepare` is given.

    Raises:
        OverdueError: The sampler hangs.
    """
    corner = image[..., :SIDE, :SIDE].clone()

    def cut() -> None:
        prepare_sampler(sampler, corner, noise).draw(corner, torch.Generator().manual_seed(0))(
            corner
        )

    try:
        within(LIMIT, cut)
    except OverdueError:
        raise
    except PLUGIN_EXCEPTIONS:  # anybody's code; it shows again on the image itself
        return


def _where(thread: threading.Thread) -> TracebackType | None:
    """Return the place at which a thread stands in the form of a traceback."""
    trace = None
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        trace = TracebackType(trace, frame, frame.f_lasti, frame.f_lineno or 0)
        frame = frame.f_back
    return trace
