"""`n2n-ablate studies`: the questions that can be asked."""

from __future__ import annotations

from pathlib import Path

from n2n_ablate.cli.screen import results


def show() -> None:
    """List the studies that ship with the package and those in ./studies/."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from n2n_ablate import study

    local = {file.stem: file for file in sorted(Path("studies").glob("*.toml"))}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("study", "question", "design", "profiles"):
        table.add_column(title, overflow="fold")
    for name, path in sorted((study.shipped() | local).items()):
        asked = study.read(path)
        table.add_row(name, Text(asked.question), asked.design, " ".join(asked.profiles))
    results().print(table)
