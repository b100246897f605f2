"""`n2n-ablate new`: a component that works, to be edited."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import say, show
from n2n_ablate.components import KINDS
from n2n_ablate.errors import PluginError

_NAME = "Lowercase words joined by hyphens, e.g. my-pair."
_OUTPUT = "Folder to write it to, else ./plugins, or . for a package."
_PACKAGE = "Write a package that pip can install, with a test."


def run(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.", metavar="KIND")],
    name: Annotated[str, typer.Argument(help=_NAME, metavar="NAME")],
    output: Annotated[Path | None, options.option(_OUTPUT, "DIR")] = None,
    *,
    package: Annotated[bool, options.flag(_PACKAGE, "--package")] = False,
) -> None:
    """Write a working plugin of a kind, with three lines to edit.

    Existing files are never overwritten.

    Examples:
        n2n-ablate new sampler my-pair
        n2n-ablate new noise my-noise --package
    """
    from n2n_ablate.registry import Registry
    from n2n_ablate.testing import scaffold

    wanted, registry = scaffold.names(kind, name), Registry()
    if name in registry.names(kind):
        msg = f"a {kind} called '{name}' comes from {registry.get(kind, name).origin}. Choose another name."
        raise PluginError(msg)
    written = (scaffold.new_package if package else scaffold.new_file)(wanted, output)
    edit = next(written.glob("src/*.py")) if package else written
    show(str(written))
    say(f"It works as it is. Edit the three marked lines of {edit}, then:")
    if package:
        say(f"  pip install -e {shlex.quote(str(written))}")
    target = name if package or output is None else str(written)
    say(f"  n2n-ablate check {shlex.quote(target)}")
    if wanted.use and not package:
        folder = f" --plugins-dir {shlex.quote(str(output))}" if output is not None else ""
        say(f"  {wanted.use}{folder}")
