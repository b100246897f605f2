"""What a result depends on that nobody handed over: what all share, what a component remembers."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.components.torch_state import preserve_torch_state, reset
from n2n_ablate.testing.promise import alike

GENERATORS = ("torch", "numpy", "Python")
"""The generators that belong to everybody, and that no component may use."""


@contextmanager
def global_seeds(seed: int, *names: str) -> Iterator[None]:
    """Seed some of the global generators inside, and put all of them back afterwards."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    seeds: dict[str, Callable[[int], object]] = {
        "torch": torch.manual_seed,
        "numpy": np.random.seed,
        "Python": random.seed,
    }
    with torch.random.fork_rng(devices=[]):
        for name in names:
            seeds[name](seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def seeded() -> AbstractContextManager[None]:
    """Seed all global generators alike inside, and put them back afterwards."""
    return global_seeds(0, *GENERATORS)


def hidden_cause(work: Callable[[], object]) -> str:
    """Say with what the result of `work` changes that nobody hands to it; empty if with nothing.

    Args:
        work: Returns a tensor, or a tuple of them.

    Returns:
        The end of a sentence that starts with the result: `the views change ...`.
    """
    if not _differs(work, 2):
        if not _heeds(work, *GENERATORS):
            return ""
        if names := [name for name in GENERATORS if _heeds(work, name)]:
            return f"with the global generator of {' and '.join(names)}"
    return (
        "from call to call, however the global generators are seeded: it remembers earlier calls, "
        "or has other random numbers"
    )


def changed_for_all(work: Callable[[], object]) -> str:
    """Say what `work` changes that all components share; empty if nothing.

    That is settings of torch and the working folder, and global generators that it advances or seeds
    without using their numbers. Settings start as torch has them: who ran before may have changed one.

    Returns:
        The end of a sentence that starts with the component: `it changes ...`.
    """
    with (
        preserve_torch_state(),
        global_seeds(987_654_321, *GENERATORS),
    ):  # a seed that nobody would set
        reset()
        before = _states()
        with preserve_torch_state() as changed:
            work()
        touched = [name for name, state in _states().items() if state != before[name]]
        # Whoever uses the numbers of one advances it too, and breaks another promise.
        names = [name for name in touched if not _heeds(work, name)]
    if names:
        changed.insert(0, f"the global generator of {' and '.join(names)}")
    return " and ".join(changed)


def _heeds(work: Callable[[], object], *names: str) -> bool:
    return _differs(work, 4, *names)


def _differs(work: Callable[[], object], runs: int, *names: str) -> bool:
    """Say whether runs differ that start from the same state, but for other seeds of `names`."""
    results = []
    for seed in range(runs):
        with global_seeds(seed, *names):
            results.append(work())
    return not all(alike(result, results[0]) for result in results)


def _states() -> dict[str, object]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(numpy_state),
        "Python": random.getstate(),
    }


Owner: TypeAlias = type | ModuleType

_HEAP_TYPE = 1 << 9
"""Of a class's `__flags__`: made by Python code, so that its attributes can be set."""

_PLAIN = (bool, int, float, str, list, dict, set, Tensor, type(None))
"""Global variables of these types are what a module may remember something in."""

_OTHERS = ("builtins", "abc", "typing", "torch", "n2n_ablate")
"""Packages whose modules remember nothing for a component."""


class Memory:
    """A component as it is now, and what its classes and modules hold; all can be had again.

    What cannot be copied (a lock, an open file) is left as it is.

    Args:
        earlier: What was kept of another component. If both are of one class, it counts as it was
            then.
    """

    def __init__(self, component: Any, earlier: Memory | None = None) -> None:
        self._component = _copied(component)
        self._type = type(component)
        self._owners: list[tuple[Owner, dict[str, Any]]] = [
            (owner, {name: _copied(value) for name, value in _data(owner).items()})
            for owner in _owners(component)
        ]
        if earlier and earlier._type is self._type:
            self._owners = earlier._owners

    @contextmanager
    def forgotten(self) -> Iterator[Any]:
        """Hand out the component as it was; inside its classes and modules are as they were too."""
        now = [(owner, _data(owner)) for owner, _ in self._owners]
        for owner, before in self._owners:
            _put(owner, {name: _copied(value) for name, value in before.items()})
        try:
            yield _copied(self._component)
        finally:
            for owner, values in now:
                _put(owner, values)


def _owners(component: Any) -> list[Owner]:
    classes = [
        heap_type for heap_type in type(component).__mro__ if heap_type.__flags__ & _HEAP_TYPE
    ]
    homes = {heap_type.__module__ for heap_type in classes} | {getattr(component, "__module__", "")}
    mine = (name for name in homes if name and name.partition(".")[0] not in _OTHERS)
    modules = (sys.modules.get(name) for name in mine)
    return [*classes, *(module for module in modules if isinstance(module, ModuleType))]


def _data(owner: Owner) -> dict[str, Any]:
    """Return what a class holds beside its methods, or a module in its global variables."""
    values = {name: value for name, value in vars(owner).items() if not name.startswith("__")}
    if isinstance(owner, ModuleType):
        return {name: value for name, value in values.items() if isinstance(value, _PLAIN)}
    return {
        name: value
        for name, value in values.items()
        if not name.startswith("_abc_") and not hasattr(value, "__get__")
    }


def _put(owner: Owner, values: dict[str, Any]) -> None:
    for name in _data(owner).keys() - values.keys():
        delattr(owner, name)
    for name, value in values.items():
        setattr(owner, name, value)


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  whatever a plugin's object says when it is copied
        return value
