"""`n2n-ablate doctor`: looks at everything that a study needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.doctor import BROKEN, Finding
from n2n_ablate.cli.screen import results
from n2n_ablate.errors import printable

_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "broken": "red"}


def run(
    output: options.Output = Path("mlruns"),
    plugins_dir: options.PluginsDir = None,
    tracking_uri: Annotated[str, typer.Option(help="MLflow server or database to check.")] = "",
    storage: Annotated[str, typer.Option(help="Database of searches to check.")] = "",
    *,
    as_json: options.Json = False,
) -> None:
    """Check this machine, plugins and stores, and suggest repairs.

    Changes nothing. Exits with 1 if something that a study needs is broken.

    Examples:
        n2n-ablate doctor

        n2n-ablate doctor --tracking-uri http://127.0.0.1:5000
    """
    findings = examine(output, plugins_dir=plugins_dir, tracking_uri=tracking_uri, storage=storage)
    broken = sum(each.state == BROKEN for each in findings)
    if as_json:
        stdout.write_json({"healthy": not broken, "findings": [asdict(each) for each in findings]})
    else:
        _print(findings, broken)
    if broken:
        raise typer.Exit(1)


def examine(
    output: Path = Path("mlruns"),
    *,
    plugins_dir: Path | None = None,
    tracking_uri: str = "",
    storage: str = "",
) -> list[Finding]:
    """Look at everything; change nothing. Stores that are named have to be reachable."""
    from n2n_ablate.cli.doctor import host, remote, stores  # late: `--help` does not need them

    findings = [*host.python(), *host.packages()]
    looks: list[Callable[[], Iterable[Finding]]] = [
        host.device,
        lambda: host.plugins(plugins_dir),
        lambda: stores.everything(output),
        lambda: remote.tracking(output, tracking_uri),
        lambda: remote.storage(storage),
    ]
    if not any(each.state == BROKEN for each in findings):  # the others import these packages
        for look in looks:
            findings += look()
    return [
        Finding(each.topic, each.state, printable(each.text), printable(each.advice))
        for each in findings
    ]


def _print(findings: list[Finding], broken: int) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for each in findings:
        state = Text(each.state, style=_COLOURS[each.state])
        table.add_row(state, Text(each.topic), Text(each.text))
        if each.advice:
            table.add_row("", "", Text(f"-> {each.advice}", style="dim"))
    out = results()
    out.print(table)
    what = "1 thing is" if broken == 1 else f"{broken} things are"
    out.print(f"{what} broken." if broken else "A study can run here.", markup=False)
