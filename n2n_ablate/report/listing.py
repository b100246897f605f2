"""The list of installed components as a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from n2n_ablate.registry import Entry
from n2n_ablate.report.document import Block, Column, Definitions, Heading, Row, Table

WIDE = 140
"""Columns of a terminal from which the list shows parameters."""

_DISTRIBUTION = "n2n-ablate"


def component_blocks(entries: Sequence[Entry], width: int) -> Iterator[Block]:
    """Yield the list of components: kind, name, what it does; on a wide terminal parameters and origin."""
    if width >= WIDE:
        yield _table(entries)
        return
    for kind in dict.fromkeys(entry.kind for entry in entries):
        yield Heading(kind, 2)
        yield Definitions(
            [(entry.name, _summary(entry)) for entry in entries if entry.kind == kind]
        )


def _table(entries: Sequence[Entry]) -> Table:
    columns = [
        Column("kind", numeric=False),
        Column("name", numeric=False),
        Column("what it does", numeric=False, wraps=True),
        Column("parameter = default (range)", numeric=False, wraps=True),
        Column("from", numeric=False, wraps=True),
    ]
    rows = [
        Row([entry.kind, entry.name, entry.summary, _parameters(entry), str(entry.origin)])
        for entry in entries
    ]
    return Table(columns, rows)


def _parameters(entry: Entry) -> str:
    return "\n".join(
        f"{each.name} = {each.default}{f' ({each.domain})' if each.domain else ''}"
        for each in entry.parameters
    )


def _summary(entry: Entry) -> str:
    """Return what a component does, and where it comes from unless it is shipped."""
    shipped = entry.origin.distribution == _DISTRIBUTION or entry.origin.source == "checkout"
    return entry.summary if shipped else f"{entry.summary} [{entry.origin}]"
