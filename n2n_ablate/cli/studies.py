"""`n2n-ablate studies`: the questions that can be asked."""

from __future__ import annotations

from n2n_ablate.cli.screen import results


def show() -> None:
    """List the studies that ship with the package and those in ./studies/."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from n2n_ablate import study
    from n2n_ablate.errors import StudyError

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("study", "question", "design", "profiles"):
        table.add_column(title, overflow="fold")
    for name, path in sorted(study.known().items()):
        try:
            asked = study.read(path)
        except StudyError as error:
            table.add_row(name, Text(f"cannot be read: {error}"))
            continue
        table.add_row(name, Text(asked.question), asked.design, " ".join(asked.profiles))
    results().print(table)
