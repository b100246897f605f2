"""Tries a fit's sampler before anything is trained, and names it if it is not fit for that."""

from __future__ import annotations

from n2n_ablate.deadline import OverdueError, seconds_for, try_corner, within
from n2n_ablate.errors import AblateError, PluginError
from n2n_ablate.fit.device import Machine
from n2n_ablate.fit.first_cut import first_cut
from n2n_ablate.fit.job import Fit
from n2n_ablate.fit.memory import require_room
from n2n_ablate.registry import Entry
from n2n_ablate.registry.blame import blamed


def try_out(fit: Fit, entry: Entry, machine: Machine) -> None:
    """Let the sampler of a fit cut its noisy image once, within a time limit, and look for room.

    Args:
        fit: The fit.
        entry: How its sampler is registered.
        machine: What the fit will be trained on.

    Raises:
        ImageError: The image is too small for the sampler, or too large for the memory.
        PluginError: The sampler fails, hangs, or its views cannot be trained on.
    """
    shape = tuple(fit.noisy.shape)
    try:
        try_corner(fit.sampler, fit.noisy, fit.noise)
        wrong = within(seconds_for(fit.noisy), lambda: first_cut(fit))
    except AblateError:
        raise
    except OverdueError as error:
        raise blamed(entry, str(error), error, "draw") from error
    except Exception as error:
        seen = f"fails on an image of shape {shape}: {error!r}"
        raise blamed(entry, seen, error, "draw") from error
    if wrong:
        raise blamed(entry, wrong, method="draw")
    try:
        require_room(fit, machine)
    except AblateError:
        raise
    except Exception as error:
        msg = f"the first step of training fails on an image of shape {shape}: {error!r}"
        raise PluginError(msg) from error
