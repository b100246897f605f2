"""`n2n-ablate doctor`: looks at everything that a study needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import results, show_json
from n2n_ablate.errors import printable

OK, NOTE, WARNING, BROKEN = "ok", "note", "warning", "broken"
_COLOURS = {OK: "green", NOTE: "cyan", WARNING: "yellow", BROKEN: "red"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str  # what: `python`, `device`, `disk` ...
    # `ok`; `note`: nothing is wrong; `warning`: some studies are affected; `broken`: no study can
    # run like this
    state: str
    text: str  # how it is, in one line
    advice: str = ""  # what to do about it, empty if there is nothing to do


def run(
    output: options.Output = options.MLRUNS,
    plugins_dir: options.PluginsDir = None,
    tracking_uri: options.TrackingUri = "",
    storage: Annotated[str, options.option("Search database to check.", "URL")] = "",
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
        show_json({"healthy": not broken, "findings": [asdict(each) for each in findings]})
    else:
        _print(findings, broken)
    if broken:
        raise typer.Exit(1)


def examine(
    output: Path = options.MLRUNS,
    *,
    plugins_dir: Path | None = None,
    tracking_uri: str = "",
    storage: str = "",
) -> list[Finding]:
    """Look at everything; change nothing. Stores that are named have to be reachable."""
    from n2n_ablate.cli.doctor import host, stores  # late: `--help` does not need them

    def looks() -> Iterator[Finding]:
        yield from host.device()
        yield from host.plugins(plugins_dir)
        yield from stores.everything(output)
        yield from stores.tracking(output, tracking_uri)
        yield from stores.storage(storage)

    findings = [*host.python(), *host.packages()]
    if not any(each.state == BROKEN for each in findings):  # the others import these packages
        findings += looks()
    return [
        replace(each, text=printable(each.text), advice=printable(each.advice)) for each in findings
    ]


def _print(findings: list[Finding], broken: int) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for each in findings:
        table.add_row(Text(each.state, style=_COLOURS[each.state]), each.topic, each.text)
        if each.advice:
            table.add_row("", "", Text(f"-> {each.advice}", style="dim"))
    out = results()
    out.print(table)
    what = "1 thing is" if broken == 1 else f"{broken} things are"
    out.print(f"{what} broken." if broken else "A study can run here.")
