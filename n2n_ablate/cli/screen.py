"""Where output goes: results to stdout, everything said about them to stderr."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console

from n2n_ablate.cli import stdout

if TYPE_CHECKING:
    from rich.table import Table


class _Results(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `main` what happens; rich would close the stream that is `sys.stdout` now."""
        raise  # noqa: PLE0704  called while the error is handled


def results() -> Console:
    """Return the console for what the command was asked for."""
    return _Results(file=stdout.stream())


def messages() -> Console:
    """Return the console for progress, notes and errors; where nobody can read them, it is silent."""
    return Console(stderr=True, file=cast(IO[str], _Unheard(sys.stderr)) if sys.stderr else None)


def say(text: str) -> None:
    """Say something beside the result, as it is: not wrapped, and nothing in it is markup."""
    messages().print(text, markup=False, highlight=False, soft_wrap=True)


def table(*titles: str, whole: str = "") -> Table:
    """Return an empty table, in which the column called `whole` never wraps."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in titles:
        made.add_column(title, overflow="fold", no_wrap=title == whole)
    return made


def never_strict() -> None:
    """Have stdout write `?` for what its encoding lacks: a sign in a table must not cost the table."""
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and (out.errors == "strict" or not _is_unicode(out)):
        out.reconfigure(errors="replace")


def let_go(stream: IO[str]) -> None:
    """Send what a stream still holds, and whatever else is written to it, nowhere."""
    with contextlib.suppress(OSError):  # it is no file
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


def _is_unicode(stream: io.TextIOWrapper) -> bool:
    return stream.encoding.lower().startswith("utf")
