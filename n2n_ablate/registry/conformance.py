"""Whether a component has the methods of its kind, and where in its source something stands."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from n2n_ablate.components import PROTOCOLS
from n2n_ablate.errors import PluginError
from n2n_ablate.registry.discovery import Origin


def require_methods(kind: str, component: Any, owner: str, origin: Origin) -> None:
    """Check that a component has every method of its kind, and that it takes what it will be given.

    Raises:
        PluginError: It has not; the message has the method's form, file and line.
    """
    for name, arguments in _needed(kind):
        wanted = name
        if arguments is not None:
            wanted = f"{name}({', '.join(arguments)})".removeprefix("__call__")
        if not hasattr(component, name):
            place = source_line(type(component), origin)
            msg = f"{owner} has no {wanted}, which every {kind} needs ({place})"
            raise PluginError(msg)
        if arguments is None:
            continue
        if never := never_runs(
            component if inspect.isfunction(component) else getattr(component, name)
        ):
            place = source_line(getattr(type(component), name, type(component)), origin)
            msg = f"{owner}: {name} {never} ({place})"
            raise PluginError(msg)
        if not _takes(getattr(component, name), len(arguments)):
            own = inspect.signature(getattr(component, name))
            place = source_line(getattr(type(component), name, type(component)), origin)
            msg = f"{owner}: {name}{own} is called as {wanted} ({place})"
            raise PluginError(msg)


@functools.cache
def _needed(kind: str) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
    """Return what every component of a kind has: methods with their arguments, properties without."""
    found: list[tuple[str, tuple[str, ...] | None]] = []
    for name, item in vars(PROTOCOLS[kind]).items():
        if name.startswith("_") and name != "__call__":
            continue
        if isinstance(item, property):
            found.append((name, None))
        elif callable(item):
            found.append((name, tuple(inspect.signature(item).parameters)[1:]))
    return tuple(found)


def never_runs(function: Callable[..., Any]) -> str:
    """Say why calling a function would not run it, as a sentence whose subject it is; empty if it would."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is written with 'async def', and nobody would wait for it: write 'def'"
    if inspect.isgeneratorfunction(function):
        return "has a 'yield', so a call runs nothing of it: use 'return'"
    return ""


def source_line(thing: Callable[..., Any], origin: Origin) -> str:
    """Return file and line where a class or function starts; the file alone if that is unknown."""
    file = origin.file or origin.plugin
    try:
        return f"{file}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return file


def _takes(method: Callable[..., Any], count: int) -> bool:
    # A method is looked at once, not again for every trial that makes its component. A class that
    # is loaded again has other functions; whatever is no method of a class is looked at each time.
    function = getattr(method, "__func__", None)
    if not (inspect.ismethod(method) and inspect.isfunction(function)):
        return _binds(method, count)
    known = _TAKEN.setdefault(function, {})
    if count not in known:
        known[count] = _binds(method, count)
    return known[count]


_TAKEN: MutableMapping[Callable[..., Any], dict[int, bool]] = WeakKeyDictionary()
"""Whether a function of a class can be called with so many arguments."""


def _binds(method: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # written in C: nothing is known
        return True
    return True
