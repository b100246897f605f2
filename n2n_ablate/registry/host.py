"""One pluggy manager for all plugins; each is called through a guard of its own.

Pluggy stops at the first implementation that raises. So what is registered with it is not a plugin
but a proxy with the same hooks, names and ordering marks, whose `call` decides what a failure costs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pluggy

from n2n_ablate.errors import PluginError, nearest
from n2n_ablate.registry import hookspecs
from n2n_ablate.registry.discovery import Origin
from n2n_ablate.registry.entry import never_runs

HOOKS = (*hookspecs.REGISTRATION, *hookspecs.LIFE_CYCLE)

Call: TypeAlias = Callable[[str, Callable[..., object], dict[str, Any]], None]
"""Given a hook, what implements it and its arguments, calls it; must let nothing out but Ctrl-C."""


def silent(hook: str, function: Callable[..., object], given: dict[str, Any]) -> None:
    """Call nothing: the `call` of a plugin while no study runs."""


class HookError(PluginError):
    """A hook that would not do what its author thinks.

    Attributes:
        line: At which it starts, 0 if that is unknown.
    """

    line = 0


@dataclass(eq=False)
class Plugin:
    """A plugin that is loaded.

    Attributes:
        origin: Where it came from.
        implementation: The module or object with the hooks.
        call: Calls its hooks; may be exchanged.
        hooks: The names of those that it implements.
    """

    origin: Origin
    implementation: object
    call: Call
    hooks: tuple[str, ...] = ()

    @property
    def listens_to(self) -> tuple[str, ...]:
        """The life-cycle hooks among its hooks."""
        return tuple(name for name in hookspecs.LIFE_CYCLE if name in self.hooks)


class PluginHost:
    """Holds plugins and calls their hooks, in pluggy's order: the last one added first.

    Attributes:
        hook: Calls a hook of every plugin: `host.hook.point(point=...)`.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._proxies: dict[Plugin, object] = {}
        self.hook = self._manager.hook

    def add(self, plugin: Plugin) -> None:
        """Add a plugin and fill in its `hooks`.

        Raises:
            HookError: A hook does not exist, would never run, or asks for what it is not given.
            PluginError: It implements no hook.
        """
        functions = dict(self._implemented(plugin.implementation))
        if not functions:
            msg = f"it implements no hook. Mark a function with @hookimpl: {', '.join(HOOKS)}"
            raise PluginError(msg)
        proxy = type("Proxy", (), {})()
        for hook, function in functions.items():
            setattr(proxy, hook, _guarded(plugin, hook, function))
        self._manager.register(proxy)
        self._proxies[plugin] = proxy
        plugin.hooks = tuple(name for name in HOOKS if name in functions)

    @property
    def plugins(self) -> list[Plugin]:
        """Everybody who was added and not removed."""
        return list(self._proxies)

    def remove(self, plugin: Plugin) -> None:
        """Call this plugin no more."""
        self._manager.unregister(self._proxies.pop(plugin))

    def only(self, hook: str, plugins: Sequence[Plugin]) -> Callable[..., object]:
        """Return what calls a hook of some plugins only."""
        others = [proxy for plugin, proxy in self._proxies.items() if plugin not in plugins]
        return self._manager.subset_hook_caller(hook, others)

    def _implemented(self, implementation: object) -> Iterator[tuple[str, Callable[..., object]]]:
        for name in dir(implementation):
            marks = self._manager.parse_hookimpl_opts(implementation, name)
            if marks is None:
                continue
            hook, function = marks.get("specname") or name, getattr(implementation, name)
            if inspect.isclass(implementation):
                msg = f"it is a class: give an instance of it, as in `plugin = {implementation.__name__}()`"
                raise PluginError(msg)
            if hook not in HOOKS:
                if marks.get("optionalhook"):
                    continue
                raise _wrong(function, f"unknown hook '{hook}'. {nearest(hook, HOOKS)}")
            if marks.get("wrapper") or marks.get("hookwrapper"):
                told = "is a wrapper, but these hooks return nothing that could be wrapped: remove the mark"
                raise _wrong(function, f"hook '{hook}' {told}")
            if never := never_runs(function):
                raise _wrong(function, f"hook '{hook}' {never}")
            known = inspect.signature(getattr(hookspecs, hook)).parameters
            for argument in _given(function):
                if argument not in known:
                    hint = nearest(argument, known)
                    raise _wrong(function, f"hook '{hook}' has no argument '{argument}'. {hint}")
            yield hook, function


def _guarded(plugin: Plugin, hook: str, function: Callable[..., object]) -> Callable[..., None]:
    names = _given(function)

    @functools.wraps(function)  # with the ordering marks, and the arguments that pluggy looks for
    def guarded(*values: object, **named: object) -> None:
        plugin.call(hook, function, dict(zip(names, values, strict=True)) | named)

    return guarded


def _given(function: Callable[..., object]) -> list[str]:
    """Return the arguments of a hook without a default, which pluggy gives by position."""
    every = inspect.signature(function).parameters.values()
    return [item.name for item in every if item.default is item.empty and item.kind < 2]


def _wrong(function: Callable[..., object], text: str) -> HookError:
    error = HookError(text)
    try:
        lines, start = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return error
    marks = (at for at, line in enumerate(lines) if line.lstrip().startswith(("def ", "async ")))
    error.line = start + next(marks, 0)
    return error
