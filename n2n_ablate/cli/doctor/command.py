"""`n2n-ablate doctor`: looks at everything that a study needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.screen import results

_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "broken": "red"}


def run(
    output: options.Output = Path("mlruns"),
    plugins_dir: options.PluginsDir = None,
    tracking_uri: Annotated[
        str,
        typer.Option(help="MLflow server or database to check."),
    ] = "",
    storage: Annotated[
        str,
        typer.Option(help="Database of searches to check."),
    ] = "",
    *,
    as_json: options.Json = False,
) -> None:
    """Check this machine, plugins and stores, and suggest repairs.

    Changes nothing. Exits with 1 if something that a study needs is broken.

    Examples:
        n2n-ablate doctor

        n2n-ablate doctor --tracking-uri http://127.0.0.1:5000
    """
    from n2n_ablate.cli.doctor.examination import examine
    from n2n_ablate.cli.doctor.finding import BROKEN

    found = examine(output, plugins_dir=plugins_dir, tracking_uri=tracking_uri, storage=storage)
    broken = sum(item.state == BROKEN for item in found)
    if as_json:
        told = {"healthy": not broken, "findings": [asdict(item) for item in found]}
        stdout.write_json(told)
    else:
        _print([(item.state, item.topic, item.text, item.advice) for item in found], broken)
    if broken:
        raise typer.Exit(1)


def _print(rows: list[tuple[str, str, str, str]], broken: int) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for state, topic, text, advice in rows:
        table.add_row(Text(state, style=_COLOURS[state]), Text(topic), Text(text))
        if advice:
            table.add_row("", "", Text(f"-> {advice}", style="dim"))
    out = results()
    out.print(table)
    what = "1 thing is" if broken == 1 else f"{broken} things are"
    out.print(f"{what} broken." if broken else "A study can run here.", markup=False)
