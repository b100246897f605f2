"""Every error that a user can cause. The command line prints one line for each and exits with 1."""

from __future__ import annotations

import difflib
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from n2n_ablate.redaction import redact

_LONGEST = 1500  # characters of a message


class AblateError(Exception):
    """Root of all expected failures: what was given, why it is wrong, what would work.

    As text it is one printable line of bearable length, whatever was given: a file may hold
    control characters that would do things to a terminal, or a value of a megabyte. Logins are left out.
    """

    def __str__(self) -> str:
        return printable(redact(super().__str__()))


@contextmanager
def on_failure(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` if the block is left by an exception, whichever it is; it goes on its way."""
    with ExitStack() as stack:
        stack.callback(undo)
        yield
        stack.pop_all()


@contextmanager
def reasoned(kind: type[AblateError], what: str, rest: str = "") -> Iterator[None]:
    """Turn an error of the system into one of ours: what cannot be done, and why.

    `what`: as in `the journal 'x' cannot be read`; `rest`: what would work.

    Raises:
        AblateError: Of the kind.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # what no file can be called is a ValueError
        msg = f"{what}: {getattr(error, 'strerror', None) or error}{rest}"
        raise kind(msg) from error


class ParameterError(AblateError):
    """A parameter that does not exist, has the wrong type or lies outside its range."""


class PluginError(AblateError):
    """A plugin that cannot be loaded, or that a study needs and that is broken."""


class UnknownComponentError(AblateError):
    """No plugin registers a component of this name."""


class StudyError(AblateError):
    """A study file, or a setting given on the command line, that makes no sense."""


class ImageError(AblateError):
    """An image that cannot be read, or that does not fit what is asked of it."""


class DeviceError(AblateError):
    """A device or a precision that this machine does not have."""


class StoreError(AblateError):
    """An output folder or a store that cannot be read or written."""


class StoreUnavailableError(StoreError):
    """A store that does not answer now, and may answer later."""


class ExecutorError(AblateError):
    """Workers that cannot be started, reached, or trusted to do what this process would do."""


class BusyError(AblateError):
    """Another process is running the same study."""


def printable(text: str) -> str:
    """Return a text as one line, with what cannot be printed escaped and a long middle left out."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST * 2 // 3]} [...] {text[-_LONGEST // 3 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(given: str, known: Iterable[str]) -> str:
    """Return the part of a message that says what would work: the closest name and all names."""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"{hint}Known: {', '.join(names) or 'none'}."


ABSENT = "does not exist"


def no_file(path: Path) -> str:
    """Return what keeps a path from being read as a file, to follow its name in a message."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'strerror', '') or error}"
    if stat.S_ISDIR(mode):
        return "is a folder, not a file"
    return "is a pipe, not a file" if stat.S_ISFIFO(mode) else "is a device, not a file"


_SAME_NAME = (
    "torch numpy scipy pluggy typer rich filelock safetensors pydantic optuna mlflow pandas "
    "matplotlib tifffile jinja2"
)
_PACKAGES = {
    **{name: name for name in _SAME_NAME.split()},
    "PIL": "pillow",
    "skimage": "scikit-image",
    "png": "pypng",
    "psycopg": "psycopg[binary]",
}
"""Name of the package by name of the module, for everything that this program may import."""


def missing_package(error: ModuleNotFoundError) -> str:
    """Return the line that says which package to install; empty if it is none of the program's."""
    package = _PACKAGES.get((error.name or "").partition(".")[0])
    return f"the package '{package}' is not installed: pip install {package}" if package else ""
