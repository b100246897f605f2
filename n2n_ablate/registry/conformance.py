"""Whether a component has the methods of its kind, and where in its source something stands."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from n2n_ablate.components import PROTOCOLS
from n2n_ablate.errors import PluginError
from n2n_ablate.registry.discovery import Origin


def require_methods(kind: str, component: Any, owner: str, origin: Origin) -> None:
    """Check that a component has every method of its kind, and that it takes what it will be given.

    Raises:
        PluginError: It has not; the message has the method's form, file and line.
    """
    for name, item in vars(PROTOCOLS[kind]).items():
        private = name.startswith("_") and name != "__call__"
        if private or not (callable(item) or isinstance(item, property)):
            continue
        if isinstance(item, property):
            wanted = name
        else:
            arguments = list(inspect.signature(item).parameters)[1:]
            wanted = f"{name}({', '.join(arguments)})".removeprefix("__call__")
        if not hasattr(component, name):
            place = source_line(type(component), origin)
            msg = f"{owner} has no {wanted}, which every {kind} needs ({place})"
            raise PluginError(msg)
        if not isinstance(item, property) and not _takes(getattr(component, name), len(arguments)):
            own = inspect.signature(getattr(component, name))
            place = source_line(getattr(type(component), name, type(component)), origin)
            msg = f"{owner}: {name}{own} is called as {wanted} ({place})"
            raise PluginError(msg)


def source_line(thing: Callable[..., Any], origin: Origin) -> str:
    """Return file and line where a class or function starts; the file alone if that is unknown."""
    file = origin.file or origin.plugin
    try:
        return f"{file}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return file


def _takes(method: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # written in C: nothing is known
        return True
    return True
