"""Writes a document as Markdown: the page without its pictures."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from n2n_ablate.report.document import (
    Block,
    Definitions,
    Document,
    Heading,
    Lines,
    Paragraph,
    Table,
    cell_text,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$])")


def markdown(document: Document) -> str:
    """Return a document as Markdown."""
    parts = [f"# {escape(document.title)}"]
    if document.subtitle:
        parts.append(escape(document.subtitle))
    headings: list[tuple[int, str]] = []  # of which nothing is written yet: pictures are left out
    for block in document.blocks:
        texts = list(_block(block))
        if isinstance(block, Heading):
            above = [each for each in headings if each[0] < block.level]
            headings = [*above, (block.level, texts[0])]
        elif texts:
            parts += [*(heading for _, heading in headings), *texts]
            headings = []
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """Return a table alone, without its caption and notes."""
    table = table.printed
    rule = ["---:" if column.numeric else "---" for column in table.columns]
    lines = [_row([column.title for column in table.columns]), f"| {' | '.join(rule)} |"]
    lines += [_row([cell_text(cell, signs=True) for cell in row.cells]) for row in table.rows]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Return a text that Markdown shows as it stands, in one line."""
    plain = _SPECIAL.sub(r"\\\1", html.escape(text, quote=False))
    return " ".join(plain.split())


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading(text, level, _):
            yield f"{'#' * level} {escape(text)}"
        case Paragraph(text, _):
            yield escape(text)
        case Lines(lines, _):
            yield _list(lines)
        case Definitions(pairs):
            yield _list([f"{name}: {value}" for name, value in pairs])
        case Table():
            if block.caption:
                yield escape(block.caption)
            yield markdown_table(block)
            if block.notes:
                yield escape(" ".join(block.notes))


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape, texts))} |"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)
