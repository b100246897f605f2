"""A registered component, and the checks that name it with file and line when it cannot be used."""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from n2n_ablate.components import OFFERED, OPTIONAL, PROTOCOLS, declared, watchdog
from n2n_ablate.components.parameters import Parameter
from n2n_ablate.components.parameters import parameters as parameters_of
from n2n_ablate.components.torch_state import changes, preserve_torch_state
from n2n_ablate.errors import AblateError, PluginError, printable
from n2n_ablate.registry.discovery import FILE, PACKAGE, Origin


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

    def error(
        self, problem: str, method: str = "", error: BaseException | None = None
    ) -> PluginError:
        """Return the error that names this component and says what it did, with a line as in `place`."""
        return PluginError(f"{self} {problem} ({self.place(method, error)})")


def place_of(
    component: object, kind: str, method: str = "", error: BaseException | None = None
) -> str:
    """Return where a component that is made went wrong, as in `Entry.place`."""
    factory: Any = component if inspect.isfunction(component) else type(component)
    file = getattr(sys.modules.get(factory.__module__), "__file__", None) or ""
    return Entry(kind, "", factory, Origin(factory.__module__, FILE, file)).place(method, error)


@contextmanager
def component_context(
    entry: Entry, problem: str, method: str = "", seconds: float = 0.0
) -> Iterator[None]:
    """Run code of a component; what it raises names it.

    `problem`: what it cannot do, e.g. `cannot be drawn`. `method`: what runs, see `Entry.place`; `seconds`:
    how long it may take; 0 for the limit of a small image.

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
    except BaseException as error:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(error, torch.OutOfMemoryError):
            raise
        late = isinstance(error, watchdog.OverdueError)
        text = describe(error) if late else f"{problem}: {describe(error)}"
        raise entry.error(text, method, error) from error
    if changed:
        raise entry.error(changes(changed), method)


def require_readable(entry: Entry, component: object) -> None:
    """Read everything that a component may have beside what its kind has to have."""
    for name in OPTIONAL.get(entry.kind, ()):
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
        offered = OFFERED.get(name, ())
        if not wrong and not _takes(method, len(arguments), offered):
            more = f"; {' and '.join(offered)} are given by name" if offered else ""
            wrong = f"{inspect.signature(method)} is called as {wanted}{more}"
        if wrong:
            line = source_line(getattr(type(component), name, type(component)), entry.origin)
            msg = f"{entry}: {name}{'' if wrong.startswith('(') else ' '}{wrong} ({line})"
            raise PluginError(msg)


@functools.cache
def _needed(kind: str) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
    """Return what every component of a kind has: methods with their arguments, properties without."""
    members = [
        (name, member)
        for name, member in vars(PROTOCOLS[kind]).items()
        if name == "__call__" or not name.startswith("_")
    ]
    return tuple(
        (name, tuple(inspect.signature(member).parameters)[1:] if callable(member) else None)
        for name, member in members
        if callable(member) or isinstance(member, property)
    )


def never_runs(function: Callable[..., Any]) -> str:
    """Say why calling a function would not run it, as a sentence whose subject it is; empty if it would."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is written with 'async def', and nobody would wait for it: write 'def'"
    if inspect.isgeneratorfunction(function):
        return "has a 'yield', so a call runs nothing of it: use 'return'"
    return ""


def _takes(method: Callable[..., Any], count: int, offered: tuple[str, ...]) -> bool:
    function = getattr(method, "__func__", None)
    if inspect.ismethod(method) and inspect.isfunction(function):
        return _binds(function, count + 1, offered)
    return _binds.__wrapped__(method, count, offered)  # it may be another each time


@functools.lru_cache(maxsize=1024)  # not again for every trial that makes a component of the class
def _binds(function: Callable[..., Any], count: int, offered: tuple[str, ...]) -> bool:
    try:
        signature = inspect.signature(function)
        named = {name: None for name in offered if name in signature.parameters}
        signature.bind(*range(count), **named)
    except TypeError:
        return False
    except ValueError:  # written in C: nothing is known
        return True
    return True


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded: who, where in the source, and why."""

    origin: Origin
    where: str
    why: str

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where != self.origin.plugin else ""
        return printable(f"plugin '{self.origin.plugin}'{where}: {self.why}")


def broken(origin: Origin, error: BaseException) -> Broken:
    """Describe why a plugin failed, with the line of its source where that can be known."""
    if isinstance(error, SyntaxError) and error.filename:
        where, reason = f"{error.filename}:{error.lineno}", f"syntax error: {error.msg}"
    else:
        where, reason = where_raised(origin, error), describe(error)
    return Broken(origin, printable(where), printable(reason))


def describe(error: BaseException) -> str:
    """Return an error in one line: its type and its message, or the message of one of ours."""
    try:
        line = (str(error).strip().splitlines() or ["no message"])[0][:300]
    except Exception:  # noqa: BLE001  the class of the error is a plugin's too
        line = "no message"
    ours = isinstance(error, PluginError | watchdog.OverdueError)
    return line if ours else f"{type(error).__name__}: {line}"


def where_raised(origin: Origin, error: BaseException) -> str:
    """Return the last line of a plugin's file that an error went through, else the file alone."""
    where = origin.file or origin.distribution or origin.plugin
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if _same(frame.filename, origin.file)]
    line = getattr(error, "line", 0) or (lines[-1] if lines else 0)
    if origin.file and line:
        return f"{where}:{line}"
    folder = Path(origin.file).parent  # a package may fail in a module of its own
    if (
        origin.source == PACKAGE
        and origin.file
        and (near := [frame for frame in frames if Path(frame.filename).is_relative_to(folder)])
    ):
        return f"{near[-1].filename}:{near[-1].lineno}"
    return where


def source_line(thing: Callable[..., Any], origin: Origin) -> str:
    """Return file and line where a class or function starts; the file alone if that is unknown."""
    file = origin.file or origin.plugin
    try:
        return f"{file}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return file


def _same(first: str, second: str) -> bool:
    return bool(second) and Path(first).name == Path(second).name
