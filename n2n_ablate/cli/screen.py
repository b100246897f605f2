"""Where output goes: results to stdout, everything said about them to stderr."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

_results: list[TextIO] = []


class _Plain(Console):
    """A console to which text is text: nothing in it is markup, and nothing is coloured by guess."""

    def __init__(self, **given: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **given)

    def on_broken_pipe(self) -> None:
        """Leave it to `main` what happens; rich would close the stream that is `sys.stdout` now."""
        raise  # noqa: PLE0704  called while the error is handled


def stream() -> TextIO:
    """Return where results are written."""
    return _results[-1] if _results else sys.stdout


def results() -> Console:
    """Return the console for what the command was asked for."""
    return _Plain(file=stream())


def show(*lines: str) -> None:
    """Print lines of the result whole, so that they can be copied."""
    for line in lines:
        results().print(line, soft_wrap=True)


def show_json(data: object, *, allow_nan: bool = True) -> None:
    """Print data for scripts; `allow_nan` as in `json.dumps`."""
    print(json.dumps(data, indent=2, allow_nan=allow_nan), file=stream())


def messages() -> Console:
    """Return the console for progress, notes and errors; where nobody can read them, it is silent."""
    return _Plain(stderr=True, file=cast(IO[str], _Unheard(sys.stderr)) if sys.stderr else None)


def say(text: str) -> None:
    """Say something beside the result, in one line."""
    messages().print(text, soft_wrap=True)


def table(*titles: str, whole: str = "", right: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the column called `whole` never wraps, those of `right` hold numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in titles:
        justify: Any = "right" if title in right else "left"
        made.add_column(title, overflow="fold", no_wrap=title == whole, justify=justify)
    return made


@contextmanager
def results_apart() -> Iterator[None]:
    """Keep stdout for results: what plugins and libraries print inside goes to stderr.

    For C code and other programs file 1 is pointed there too; results go to a copy of what it was.
    """
    outside = sys.stdout
    with ExitStack() as undo:
        copy = None
        with suppress(OSError, ValueError, AttributeError):  # no file: a test reads along
            copy = os.dup(1) if outside.fileno() == 1 else None
        if outside is None:  # closed: then results go nowhere, and not to stderr
            target: TextIO = undo.enter_context(Path(os.devnull).open("w"))
        elif copy is None:
            target = outside
        else:
            outside.flush()
            opened = os.fdopen(copy, "w", encoding=outside.encoding, errors=outside.errors)
            target = undo.enter_context(opened)
            with suppress(OSError):  # there may be no stderr
                os.dup2(2, 1)
            undo.callback(os.dup2, copy, 1)
        _results.append(target)
        sys.stdout = sys.stderr
        try:
            yield
        finally:
            sys.stdout = outside
            _results.pop()


def never_strict() -> None:
    """Have stdout write `?` for what its encoding lacks: a sign in a table must not cost the table."""
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        is_unicode = out.encoding.lower().startswith("utf")
        if out.errors == "strict" or not is_unicode:
            out.reconfigure(errors="replace")


def let_go(stream: IO[str]) -> None:
    """Send what a stream still holds, and whatever else is written to it, nowhere."""
    with suppress(OSError):  # it is no file
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


class _Unheard:
    """A stream whose reader, terminal or disk may be gone: what is said beside a result is then lost."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            let_go(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            let_go(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
