"""What a component may have beside what its protocol asks for, read with the value that is assumed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from n2n_ablate.components.protocols import MeasuredNoise, Noise, Pairs, Sampler, Split

if TYPE_CHECKING:  # so that listing kinds and names does not wait for torch
    from torch import Tensor

BOTH_WAYS: Pairs = ((0, 1), (1, 0))

OBJECT = object()
"""In place of an assumed value: the attribute is a method or another component."""

OPTIONAL: Mapping[str, Mapping[str, Any]] = {
    "noise": {"unbiased": None, "clip": OBJECT},
    "sampler": {"fixed": False, "leaks": False, "supports_consistency": True}
    | {"preserves_mean": True, "drawn_once": False, "replaces_input": False, "pairs": BOTH_WAYS}
    | dict.fromkeys(("required_noise", "needs_shots", "at", "prepare"), OBJECT),
    "backbone": {"halo": None},
    "loss": {"required_noise": OBJECT},
    "training": {"elementwise": False, "crop": 0},
    "estimator": {"dropout": False, "checkpoint_selector": OBJECT},
    "metric": {"higher_is_better": True, "unit": "", "full_reference": True, "at_end": False}
    | {"smallest": 1, "channels": (), "convention": ""},
    "strategy": {"stores_pickles": False},
}
"""What a component of a kind may have beside what it has to have, and what is assumed without it."""

OFFERED: Mapping[str, tuple[str, ...]] = {"estimate": ("draw", "rng")}
"""Arguments that a method is given too if it names them, see the protocols."""

_MISSING = object()


class UndeclaredError(AttributeError):
    """Raised by a property of a component that stands for nothing, as if there were no property."""


def declared(component: object, name: str, assumed: Any = None) -> Any:
    """Return an optional attribute of a component, or what is assumed where it has none.

    A property that is there and fails is no missing one, as `getattr` with a default would have it.

    Raises:
        Exception: Whatever the code of the attribute raises.
    """
    try:
        return getattr(component, name)
    except UndeclaredError:
        return assumed
    except AttributeError:
        if inspect.getattr_static(component, name, _MISSING) is _MISSING:
            return assumed
        raise


def declares(component: object, name: str) -> bool:
    """Say whether a component has an optional attribute; see `declared`."""
    return declared(component, name, _MISSING) is not _MISSING


def is_fixed(sampler: Sampler) -> bool:
    """Say whether every draw of the sampler gives the same split."""
    return bool(declared(sampler, "fixed", False))


def is_drawn_once(sampler: Sampler) -> bool:
    """Say whether one draw of the sampler serves a whole fit."""
    return is_fixed(sampler) or bool(declared(sampler, "drawn_once", False))


def mask_of(split: Split) -> Tensor | None:
    """Return where a split hides pixels from the network, (b, 1, h', w'); None if it hides none."""
    mask: Tensor | None = getattr(split, "mask", None)
    return mask


def at_step(sampler: Sampler, step: int, steps: int) -> Sampler:
    """Return the sampler to use at a step, counted from 0: itself, unless it is a schedule."""
    at = declared(sampler, "at")
    current: Sampler = sampler if at is None else at(step, steps)
    return current


def prepare_sampler(
    sampler: Sampler, noisy: Tensor, noise: Noise | MeasuredNoise | None
) -> Sampler:
    """Return the sampler to use for a noisy image, (1, c, h, w): itself, unless it prepares one."""
    prepare = declared(sampler, "prepare")
    prepared: Sampler = sampler if prepare is None else prepare(noisy, noise)
    return prepared


def probe_steps(steps: int) -> tuple[int, ...]:
    """Return where to look at a schedule of so many steps: often at first, half-way, at the end."""
    wanted = {0, 1, 2, 3, 5, 10, 20, steps // 2, steps - 1}
    return tuple(sorted(step for step in wanted if 0 <= step < steps))


def pairs_of(sampler: Sampler) -> Pairs:
    """Return the ordered pairs of views that train; both ways between two views by default."""
    return tuple(
        (int(first), int(second)) for first, second in declared(sampler, "pairs", BOTH_WAYS)
    )
