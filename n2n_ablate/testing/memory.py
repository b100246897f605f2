"""What a component remembers: copied before its first use, so that this use can be had again."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeAlias

from torch import Tensor

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
