"""The command line: parses, calls one function, prints. One file per command."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from n2n_ablate.components import watchdog
from n2n_ablate.errors import AblateError, missing_package
from n2n_ablate.redaction import redact

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


class _PlainFlags:
    """A command in whose help flags have no type beside them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options and arguments."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
        return params


class _Command(_PlainFlags, TyperCommand):
    pass


class _Group(_PlainFlags, TyperGroup):
    pass


app = typer.Typer(
    name="n2n-ablate",
    cls=_Group,
    help="Swap one part of a zero-shot image denoiser at a time and measure what it was worth.\n\n"
    "Start with: n2n-ablate study center-weight",
    epilog="Every word is explained in docs/glossary.md. "
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
    local_plugins: Annotated[
        bool,
        typer.Option(
            "--local-plugins/--no-local-plugins",
            show_default=False,
            help="Run the plugin files in ./plugins (the default), or not.",
        ),
    ] = True,
) -> None:
    if not local_plugins:
        os.environ["N2N_ABLATE_LOCAL_PLUGINS"] = "0"  # so that it holds for child processes
    if version:
        from n2n_ablate.version import __version__

        typer.echo(f"n2n-ablate {__version__}")
        raise typer.Exit


def _register() -> None:
    from n2n_ablate.cli import (
        best,
        cache,
        check,
        compare,
        denoise,
        diagnose,
        images,
        new,
        plan,
        plugins,
        report,
        studies,
        study,
        sync,
        table,
        ui,
    )
    from n2n_ablate.cli.doctor import command as doctor
    from n2n_ablate.cli.stdout import kept

    panels: dict[str, dict[str, Callable[..., None]]] = {
        "Studies": {
            "study": study.run,
            "plan": plan.show,
            "studies": studies.show,
            "diagnose": diagnose.run,
            "sync": sync.run,
            "cache": cache.run,
            "ui": ui.ui,
        },
        "Results": {
            "table": table.run,
            "report": report.run,
            "compare": compare.run,
            "best": best.run,
        },
        "Images": {"denoise": denoise.run, "images": images.run},
        "Plugins": {"plugins": plugins.show, "new": new.run, "check": check.run},
        "This machine": {"doctor": doctor.run},
    }
    for panel, commands in panels.items():
        for name, command in commands.items():
            app.command(name, cls=_Command, rich_help_panel=panel)(kept(command))


_register()

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """Run the command line. A mistake of the user is one line and exit status 1."""
    from n2n_ablate.cli.screen import never_strict

    never_strict()
    sys.excepthook = _show_traceback
    watchdog.at_a_loss[:] = [_end_at_once]
    try:
        _run()
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


def _run() -> None:
    from n2n_ablate.cli.screen import let_go

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
        let_go(sys.stdout)
        sys.exit(141)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        let_go(sys.stdout)
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
    from n2n_ablate.cli.screen import say

    say(f"error: {text}")
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
