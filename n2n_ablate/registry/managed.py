"""Checks what a plugin implements, and gives it a manager of its own."""

from __future__ import annotations

import contextlib
import inspect
import re

import pluggy

from n2n_ablate.errors import PluginError, nearest
from n2n_ablate.registry import hookspecs
from n2n_ablate.registry.conformance import never_runs

_DEF = re.compile(r"\s*(async\s+)?def\s")


def managed(plugin: object, name: str) -> pluggy.PluginManager:
    """Return a manager that has this plugin alone, so that one which fails stops no other.

    Raises:
        PluginError: It implements no hook, one that does not exist or would never run, or asks for
            what none is given.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=name)
        manager.check_pending()  # without this a misspelt hook is silently ignored
    except pluggy.PluginValidationError as error:
        raise _invalid(plugin, str(error)) from None
    callers = manager.get_hookcallers(plugin)
    if not callers:
        msg = f"it implements no hook. Mark a function with @hookimpl: {', '.join(_every())}"
        raise PluginError(msg)
    for caller in callers:
        for hook in caller.get_hookimpls():
            never = never_runs(hook.function)
            if never and not (hook.wrapper or hook.hookwrapper):  # for these, 'yield' is right
                msg = f"hook '{caller.name}' {never}"
                raise _with_line(PluginError(msg), plugin, caller.name)
    return manager


def _every() -> list[str]:
    return [*hookspecs.HOOK_OF.values(), *hookspecs.LIFE_CYCLE]


def _invalid(plugin: object, told: str) -> PluginError:
    """Say in one line what pluggy says in several, and note the line of the hook."""
    found = re.search(r"hook '(\w+)'", told)
    name = found[1] if found else ""
    arguments = re.search(r"Argument\(s\) \{'(\w+)'", told)
    if told.startswith("unknown hook"):
        error = PluginError(f"unknown hook '{name}'. {nearest(name, _every())}")
    elif arguments:
        known = getattr(hookspecs, name).__code__
        names = known.co_varnames[: known.co_argcount]
        hint = nearest(arguments[1], names)
        error = PluginError(f"hook '{name}' has no argument '{arguments[1]}'. {hint}")
    else:
        error = PluginError(" ".join(told.split()))
    return _with_line(error, plugin, name)


def _with_line(error: PluginError, plugin: object, name: str) -> PluginError:
    with contextlib.suppress(AttributeError, OSError, TypeError, StopIteration):
        lines, start = inspect.getsourcelines(getattr(plugin, name))
        offset = next(at for at, line in enumerate(lines) if _DEF.match(line))
        error.add_note(f"line {start + offset}")
    return error
