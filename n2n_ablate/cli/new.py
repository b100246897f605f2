"""`n2n-ablate new`: a component that works, to be edited."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli.screen import messages, results
from n2n_ablate.components import KINDS
from n2n_ablate.errors import PluginError

if TYPE_CHECKING:
    from n2n_ablate.testing.scaffold import Names


def run(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.", metavar="KIND")],
    name: Annotated[
        str, typer.Argument(help="Lowercase words joined by hyphens, e.g. my-pair.", metavar="NAME")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Where to write it: ./plugins for a file, here for a package."),
    ] = None,
    *,
    package: Annotated[
        bool, typer.Option("--package", help="Write a package that pip can install, with a test.")
    ] = False,
) -> None:
    """Write a working plugin of a kind, with three lines to edit.

    Existing files are never overwritten.

    Examples:
        n2n-ablate new sampler my-pair

        n2n-ablate new noise my-noise --package
    """
    from n2n_ablate.registry import Registry
    from n2n_ablate.testing import scaffold

    wanted = scaffold.names(kind, name)
    registry = Registry()
    if name in registry.names(kind):
        msg = f"a {kind} called '{name}' comes from {registry.get(kind, name).origin}. Choose another name."
        raise PluginError(msg)
    written = (scaffold.new_package if package else scaffold.new_file)(wanted, output)
    edit = next(written.glob("src/*.py")) if package else written
    results().print(str(written), markup=False, highlight=False, soft_wrap=True)
    said = messages()
    said.print(f"It works as it is. Edit the three marked lines of {edit}, then:", markup=False)
    for line in _next(wanted, written, output, package=package):
        said.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _next(wanted: Names, written: Path, output: Path | None, *, package: bool) -> list[str]:
    """Return the commands that check and try what was written."""
    if package:
        install = f"pip install -e {shlex.quote(str(written))}"
        return [install, f"n2n-ablate check {wanted.name}"]
    target = wanted.name if output is None else str(written)
    folder = f" --plugins-dir {shlex.quote(str(output))}" if output is not None else ""
    use = [wanted.use + folder] if wanted.use else []
    return [f"n2n-ablate check {shlex.quote(target)}", *use]
