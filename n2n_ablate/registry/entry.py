"""A registered component, and the checks that name it with file and line when it cannot be used."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from n2n_ablate.components import OPTIONAL, PROTOCOLS, declared, watchdog
from n2n_ablate.components.parameters import Parameter
from n2n_ablate.components.parameters import parameters as parameters_of
from n2n_ablate.components.torch_state import changes, preserve_torch_state
from n2n_ablate.errors import AblateError, PluginError
from n2n_ablate.registry.discovery import Origin
from n2n_ablate.registry.failures import describe, source_line, where_raised


@dataclass(frozen=True)
class Entry:
    """One registered component."""

    kind: str
    name: str
    factory: Callable[..., Any]
    origin: Origin

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'"

    @property
    def summary(self) -> str:
        """First line of the docstring: what a user reads in the list."""
        text = getattr(self.factory, "__doc__", None)
        lines = text.strip().splitlines() if isinstance(text, str) else []
        return lines[0] if lines else ""

    @cached_property  # every fit asks for them, and reading annotations is slow
    def parameters(self) -> tuple[Parameter, ...]:
        """The component's parameters, in order."""
        return parameters_of(self.factory)

    def place(self, method: str = "", error: BaseException | None = None) -> str:
        """Return file and line: of an error, else of a method, else of the component."""
        if error is not None:
            where = where_raised(self.origin, error)
            if where.rpartition(":")[2].isdigit():
                return where
        known = getattr(self.factory, method, None) if method else None
        return source_line(known if callable(known) else self.factory, self.origin)

    def error(self, seen: str, method: str = "", error: BaseException | None = None) -> PluginError:
        """Return the error that names this component.

        Args:
            seen: What it did, as the rest of a sentence.
            method: What to point at where no line is known; without it the class.
            error: What its code raised.
        """
        return PluginError(f"{self} {seen} ({self.place(method, error)})")


@contextmanager
def component_context(
    entry: Entry, seen: str, method: str = "", seconds: float = 0.0
) -> Iterator[None]:
    """Run code of a component; what it raises names it.

    Args:
        entry: The component.
        seen: What it cannot do, e.g. `cannot be drawn`.
        method: What runs, see `Entry.error`.
        seconds: How long it may take; 0 for the limit of a small image.

    Raises:
        PluginError: It fails, does not come back, or changes what all components share.
    """
    try:
        with (
            watchdog.time_limit(seconds or watchdog.LIMIT, str(entry)),
            preserve_torch_state() as changed,
        ):
            yield
    except (AblateError, KeyboardInterrupt):
        raise
    except watchdog.OverdueError as error:
        raise entry.error(str(error), method, error) from error
    except BaseException as error:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(error, torch.OutOfMemoryError):
            raise
        seen = f"{seen}: {describe(error)}"
        raise entry.error(seen, method, error) from error
    if changed:
        raise entry.error(changes(changed), method)


def require_readable(entry: Entry, component: object) -> None:
    """Read everything that a component may have beside what its kind has to have.

    Raises:
        PluginError: The code of something that it has fails.
    """
    for name in OPTIONAL[entry.kind]:
        with component_context(entry, f"has '{name}', but reading it fails", name):
            declared(component, name)


def require_methods(entry: Entry, component: Any) -> None:
    """Check that a component has every method of its kind, and that it takes what it will be given.

    Raises:
        PluginError: It has not; the message has the method's form, file and line.
    """
    for name, arguments in _needed(entry.kind):
        wanted = name
        if arguments is not None:
            wanted = f"{name}({', '.join(arguments)})".removeprefix("__call__")
        if not hasattr(component, name):
            msg = f"{entry} has no {wanted}, which every {entry.kind} needs ({entry.place()})"
            raise PluginError(msg)
        if arguments is None:
            continue
        method = getattr(component, name)
        wrong = never_runs(component if inspect.isfunction(component) else method)
        if not wrong and not _takes(method, len(arguments)):
            wrong = f"{inspect.signature(method)} is called as {wanted}"
        if wrong:
            place = source_line(getattr(type(component), name, type(component)), entry.origin)
            msg = f"{entry}: {name}{'' if wrong.startswith('(') else ' '}{wrong} ({place})"
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


def _takes(method: Callable[..., Any], count: int) -> bool:
    function = getattr(method, "__func__", None)
    if inspect.ismethod(method) and inspect.isfunction(function):
        return _binds_once(function, count + 1)
    return _binds(method, count)  # it may be another each time


def _binds(method: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # written in C: nothing is known
        return True
    return True


# A function of a class is looked at once, not again for every trial that makes its component.
_binds_once = functools.lru_cache(maxsize=1024)(_binds)
