"""Plugins under one pluggy manager, each registered as a proxy that guards it.

Pluggy stops at the first implementation that raises. So what it calls is not the plugin but a `Plugin`
with the same hooks, names and ordering marks, whose `call` decides what a failure costs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import pluggy

from n2n_ablate.errors import PluginError, nearest
from n2n_ablate.registry import hookspecs
from n2n_ablate.registry.discovery import Origin
from n2n_ablate.registry.entry import never_runs

HOOKS = (*hookspecs.REGISTRATION, *hookspecs.LIFE_CYCLE)
_READER = pluggy.PluginManager(hookspecs.PROJECT)

Call: TypeAlias = Callable[[str, Callable[..., object], dict[str, Any]], None]
"""Given a hook, what implements it and its arguments, calls it; must let nothing out but Ctrl-C."""


def new_manager() -> pluggy.PluginManager:
    """Return a manager that knows our hooks. The last plugin registered is called first."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def silent(hook: str, function: Callable[..., object], given: dict[str, Any]) -> None:
    """Call nothing: the `call` of a plugin while no study runs."""


class HookError(PluginError):
    """A hook that would not do what its author thinks; `line` is where it starts, 0 if unknown."""

    line = 0


class Plugin:
    """A plugin that is loaded; this is what pluggy gets.

    Attributes:
        origin: Where it came from.
        implementation: The module or object with the hooks.
        functions: What implements each of its hooks, by name.
        call: Calls them; may be exchanged.

    Raises:
        HookError: A hook does not exist, would never run, or asks for what it is not given.
        PluginError: It implements no hook.
    """

    def __init__(self, origin: Origin, implementation: object) -> None:
        self.origin, self.implementation = origin, implementation
        self.call: Call = silent
        self.functions = dict(_implemented(implementation))
        if not self.functions:
            msg = f"it implements no hook. Mark a function with @hookimpl: {', '.join(HOOKS)}"
            raise PluginError(msg)
        for hook, function in self.functions.items():
            setattr(self, hook, _guarded(self, hook, function))

    @property
    def listens_to(self) -> tuple[str, ...]:
        """The life-cycle hooks that it implements."""
        return tuple(name for name in hookspecs.LIFE_CYCLE if name in self.functions)

    def register(self, registers: Mapping[str, Callable[..., object]]) -> None:
        """Call its registration hooks, each with what registers for it."""
        for hook, register in registers.items():
            if function := self.functions.get(hook):
                function(**dict.fromkeys(_given(function), register))


def _implemented(implementation: object) -> Iterator[tuple[str, Callable[..., object]]]:
    for name in dir(implementation):
        marks = _READER.parse_hookimpl_opts(implementation, name)
        if marks is None:
            continue
        if inspect.isclass(implementation):
            msg = f"it is a class: give an instance of it, as in `plugin = {implementation.__name__}()`"
            raise PluginError(msg)
        hook, function = marks.get("specname") or name, getattr(implementation, name)
        if hook in HOOKS or not marks.get("optionalhook"):
            if problem := _problem(hook, function, marks):
                raise _wrong(function, problem)
            yield hook, function


def _problem(hook: str, function: Callable[..., object], marks: Any) -> str:
    if hook not in HOOKS:
        return f"unknown hook '{hook}'. {nearest(hook, HOOKS)}"
    if marks.get("wrapper") or marks.get("hookwrapper"):
        return (
            f"hook '{hook}' is a wrapper, but these hooks return nothing that could be wrapped: "
            "remove the mark"
        )
    if never := never_runs(function):
        return f"hook '{hook}' {never}"
    known = inspect.signature(getattr(hookspecs, hook)).parameters
    unknown = next((name for name in _given(function) if name not in known), None)
    if unknown is not None:
        return f"hook '{hook}' has no argument '{unknown}'. {nearest(unknown, known)}"
    return ""


def _guarded(plugin: Plugin, hook: str, function: Callable[..., object]) -> Callable[..., None]:
    names = _given(function)

    @functools.wraps(function)  # with the ordering marks, and the arguments that pluggy looks for
    def guarded(*values: object, **named: object) -> None:
        plugin.call(hook, function, dict(zip(names, values, strict=True)) | named)

    return guarded


def _given(function: Callable[..., object]) -> list[str]:
    """Return the arguments of a hook without a default, which pluggy gives by position."""
    every = inspect.signature(function).parameters.values()
    return [each.name for each in every if each.default is each.empty and each.kind < 2]


def _wrong(function: Callable[..., object], text: str) -> HookError:
    error = HookError(text)
    try:
        lines, start = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return error
    marks = (at for at, line in enumerate(lines) if line.lstrip().startswith(("def ", "async ")))
    error.line = start + next(marks, 0)
    return error
