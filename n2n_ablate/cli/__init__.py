"""The command line: parses, calls one function, prints. One file per command."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import sys
from importlib import import_module
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from n2n_ablate.cli import screen
from n2n_ablate.components import watchdog
from n2n_ablate.errors import AblateError, missing_package
from n2n_ablate.redaction import redact

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


class _PlainHelp:
    """A command in whose help flags and arguments have no type beside them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options and arguments."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
            if param.param_type_name == "argument":
                param.display_type_rich = lambda ctx: None
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line, without braces around arguments."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [piece.replace("{", "").replace("}", "") for piece in pieces]


class _Command(_PlainHelp, TyperCommand):
    pass


class _Group(_PlainHelp, TyperGroup):
    pass


app = typer.Typer(
    name="n2n-ablate",
    cls=_Group,
    help="Swap one part of a zero-shot image denoiser at a time and measure what it is worth.\n\n"
    "Start with: n2n-ablate study center-weight",
    epilog="Terms are explained in docs/glossary.md. "
    "Write your own component in ten lines: see docs/plugins.",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
    no_local_plugins: Annotated[
        bool, typer.Option("--no-local-plugins", help="Do not run the plugin files in ./plugins.")
    ] = False,
) -> None:
    if no_local_plugins:
        os.environ["N2N_ABLATE_LOCAL_PLUGINS"] = "0"  # so that it holds for child processes
    if version:
        from n2n_ablate.version import __version__

        typer.echo(f"n2n-ablate {__version__}")
        raise typer.Exit


_PANELS = {
    "Studies": ("study", "plan", "studies", "diagnose", "sync", "cache", "ui"),
    "Results": ("table", "report", "compare", "best"),
    "Images": ("denoise", "images"),
    "Plugins": ("plugins", "new", "check"),
    "This machine": ("doctor",),
}
"""The commands; each is the function `run` of the module of its name."""


def _help(run: object) -> str:
    """Return a docstring with its paragraphs in one line each, but for the examples."""
    paragraphs = (inspect.getdoc(run) or "").split("\n\n")
    return "\n\n".join(
        text if text.startswith("Example") else text.replace("\n", " ") for text in paragraphs
    )


for _panel, _names in _PANELS.items():
    for _name in _names:
        _run = import_module(f"n2n_ablate.cli.{_name}").run
        _add = app.command(_name, cls=_Command, rich_help_panel=_panel, help=_help(_run))
        _add(screen.results_apart()(_run))

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """Run the command line. A mistake of the user is one line and exit status 1."""
    screen.never_strict()
    sys.excepthook = _show_traceback
    watchdog.at_a_loss[:] = [_end_at_once]
    try:
        _checked()
    except SystemExit as ended:
        _leave(ended.code)
        raise


def _show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of a bug without logins: an exception often says what it was given."""
    import traceback

    text = "".join(traceback.format_exception(kind, error, trace))
    print(redact(text), end="", file=sys.stderr)  # noqa: T201


def _checked() -> None:
    """Run the command; what a user can cause is one line."""
    try:
        _command()
    except AblateError as error:
        _complain(str(error))
    except ModuleNotFoundError as error:
        if not (line := missing_package(error)):
            raise
        sys.exit(f"error: {line}")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        screen.let_go(sys.stdout)
        sys.exit(141)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        screen.let_go(sys.stdout)
        _complain(f"the output cannot be written: {error.strerror}")


def _command() -> None:
    """Run the command, and write out what it printed while an error can still be told."""
    try:
        app(prog_name="n2n-ablate")
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Rich and Typer make it status 1
            raise ended.__context__ from None
        if sys.stdout is not None:
            sys.stdout.flush()
        raise


def _complain(text: str) -> None:
    screen.say(f"error: {text}")
    sys.exit(1)


def _leave(status: object) -> None:
    """End the process here if a plugin still hangs in a thread: Python's way out would crash in it."""
    if not watchdog.hangs():
        return
    if isinstance(status, str):
        print(status, file=sys.stderr)  # noqa: T201
    _end(status if isinstance(status, int) else int(status is not None))


def _end_at_once(message: str) -> None:
    """End the process from another thread: a plugin holds the main one and does not let go."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"error: {message}\n")
    _end(1)


def _end(status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    watchdog.end_process(status)
