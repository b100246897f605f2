"""What a component remembers: copied before its first use, so that this use can be had again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Memory:
    """A component as it is now, and what its classes hold: both can be made to forget what came after.

    What cannot be copied (a lock, an open file) is left as it is.

    Args:
        component: The component.
        earlier: What was kept of another component. If both are of one class, it counts as it was
            then.
    """

    def __init__(self, component: Any, earlier: Memory | None = None) -> None:
        self._component = _copied(component)
        self._type = type(component)
        self._classes = [
            (owner, {name: _copied(value) for name, value in _data(owner).items()})
            for owner in self._type.__mro__
        ]
        if earlier and earlier._type is self._type:
            self._classes = earlier._classes

    @contextmanager
    def forgotten(self) -> Iterator[Any]:
        """Hand out the component as it was; inside its classes are as they were too."""
        now = [(owner, _data(owner)) for owner, _ in self._classes]
        for owner, before in self._classes:
            _put(owner, {name: _copied(value) for name, value in before.items()})
        try:
            yield _copied(self._component)
        finally:
            for owner, values in now:
                _put(owner, values)


def _data(owner: type) -> dict[str, Any]:
    """Return what a class holds beside its methods; nothing for one written in C."""
    if not owner.__flags__ & _HEAP_TYPE or owner.__module__ == "typing":
        return {}
    return {
        name: value
        for name, value in vars(owner).items()
        if not name.startswith(("__", "_abc_")) and not hasattr(value, "__get__")
    }


_HEAP_TYPE = 1 << 9
"""Of a class's `__flags__`: made by Python code, so that its attributes can be set."""


def _put(owner: type, values: dict[str, Any]) -> None:
    for name in _data(owner).keys() - values.keys():
        delattr(owner, name)
    for name, value in values.items():
        setattr(owner, name, value)


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  whatever a plugin's object says when it is copied
        return value
