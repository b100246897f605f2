"""Keeps stdout for results: what plugins and libraries print while a command runs goes to stderr."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TextIO, TypeVar

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_results: list[TextIO] = []


def stream() -> TextIO:
    """Return where results are written."""
    return _results[-1] if _results else sys.stdout


def write_json(data: object, *, allow_nan: bool = True) -> None:
    """Write data for scripts; `allow_nan` as in `json.dumps`."""
    print(json.dumps(data, indent=2, allow_nan=allow_nan), file=stream())


def kept(command: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """Make a command during which only what is written to `stream` reaches stdout."""

    @functools.wraps(command)
    def run(*args: _Given.args, **given: _Given.kwargs) -> _Result:
        with _apart():
            return command(*args, **given)

    return run


@contextmanager
def _apart() -> Iterator[None]:
    own = sys.stdout
    with _copied(own) as results:
        _results.append(results)
        sys.stdout = sys.stderr
        try:
            yield
        finally:
            sys.stdout = own
            _results.pop()


@contextmanager
def _copied(own: TextIO | None) -> Iterator[TextIO]:
    """Point file 1 to stderr, for C code and other programs, and hand out a copy of what it was."""
    if own is None:  # closed: then results go nowhere, and not to stderr
        with Path(os.devnull).open("w") as nowhere:
            yield nowhere
        return
    try:
        copy = os.dup(1) if own.fileno() == 1 else None
    except (OSError, ValueError):  # no file at all: a test reads along
        copy = None
    if copy is None:
        yield own
        return
    own.flush()
    with os.fdopen(copy, "w", encoding=own.encoding, errors=own.errors) as results:
        with suppress(OSError):  # there may be no stderr
            os.dup2(2, 1)
        try:
            yield results
        finally:
            os.dup2(copy, 1)
