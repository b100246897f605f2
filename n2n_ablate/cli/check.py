"""`n2n-ablate check`: does a component meet the contract of its kind?"""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import messages, results, show_json

if TYPE_CHECKING:
    from rich.console import Console

    from n2n_ablate.testing.checking import Checked

_TARGET = "A component's name, a plugin file (.py), or an installed package."


def run(
    target: Annotated[str, typer.Argument(help=_TARGET, metavar="NAME|FILE|PACKAGE")],
    plugins_dir: options.PluginsDir = None,
    limit: Annotated[float, options.option("Time limit of one check.", "SECONDS", min=0.1)] = 10.0,
    *,
    as_json: options.Json = False,
) -> None:
    """Check a component against the contract of its kind.

    Tries its defaults and both ends of every range. Exits with 1 if a check fails, and names file
    and line. Needs no pytest.

    Examples:
        n2n-ablate check my-pair
        n2n-ablate check plugins/my_pair.py
    """
    from n2n_ablate.testing.checking import check

    components = []
    out = results()
    with messages().status(f"checking {target} ...") if not as_json else nullcontext():
        for component in check(target, plugins_dir, limit):
            components.append(component)
            if not as_json:
                _print(component, out)
    kept = all(component.kept for component in components)
    if as_json:
        rows = [{**dataclasses.asdict(each), "kept": each.kept} for each in components]
        show_json({"kept": kept, "components": rows})
    raise typer.Exit(0 if kept else 1)


def _print(component: Checked, out: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    utf = "utf" in (out.encoding or "").lower()
    marks = {
        True: Text("\u2713" if utf else "ok", "green"),
        False: Text("\u2717" if utf else "NO", "bold red"),
        None: Text("\u2013" if utf else "--", "yellow"),
    }
    several = len(component.settings) > 1
    title = Text.assemble((f"{component.kind} {component.name}", "bold"), f" ({component.origin})")
    title.append(f" at {', '.join(component.settings)}" if several else "", "dim")
    lines = Table.grid(padding=(0, 1), pad_edge=True)
    for promise in component.promises:
        if promise.kept is None and not promise.untried:
            continue
        lines.add_row(marks[promise.kept], promise.sentence)
        if promise.untried:
            lines.add_row("", Text(f"not run here: {promise.untried}", "yellow"))
        for broken in promise.broken:
            line = f" ({broken.where})" if broken.where else ""
            setting = f"{broken.setting}: " if several else ""
            lines.add_row("", Text(f"{setting}{broken.problem}{line}", "red"))
    out.print(title)
    out.print(lines)
    kept = [promise.kept for promise in component.promises]
    count, failed, left = len(kept), kept.count(False), kept.count(None)
    rest = f", {left} not run here" if left else ""
    if failed:
        out.print(f"{failed} of {count} checks failed{rest}.\n", style="bold red")
    else:
        colour = "yellow" if left else "green"
        out.print(f"{count - left} of {count} checks passed{rest}.\n", style=colour)
