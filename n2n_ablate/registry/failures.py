"""What failed in code of plugins, in one line with file and line number."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n2n_ablate.components.watchdog import OverdueError
from n2n_ablate.errors import PluginError, printable
from n2n_ablate.registry.discovery import PACKAGE, Origin


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
    ours = isinstance(error, PluginError | OverdueError)
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
