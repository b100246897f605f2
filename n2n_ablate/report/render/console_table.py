"""Lays a table out for a terminal: widths, lines and styles. Linear in cells, for tables of thousands of rows."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from n2n_ablate.report.document import Cell, Row, Table, Verdict, cell_text

STYLES = {"better": "green", "worse": "red", "equivalent": "cyan", "inconclusive": "dim"}
"""Colours of verdicts."""

_ROW = {"baseline": "bold", "reference": "dim"}
_GAP = "  "
_LEAST = 4  # columns of what may be broken
_NAME = 24  # columns that a name gets before optional columns are dropped


def layout(table: Table, width: int) -> tuple[Text, list[str]]:
    """Return a table as wide as its cells, and the titles of optional columns that do not fit."""
    kept, wide = list(range(len(table.columns))), _widths(table)
    for at in reversed(kept.copy()):
        if table.columns[at].optional and _total(table, kept, wide) > width:
            kept.remove(at)
    widths = _fitted(table, kept, wide, width)
    text = Text()
    titles = [_broken(table.columns[at].title, wide) for at, wide in zip(kept, widths, strict=True)]
    for line in _joined(table, kept, widths, titles):
        text.append(f"{line.plain.rstrip()}\n", "bold")
    text.append("\u2500" * (sum(widths) + len(_GAP) * (len(widths) - 1)))
    for row in table.rows:
        cells = [_broken(cell_text(row.cells[at]), w) for at, w in zip(kept, widths, strict=True)]
        for line in _joined(table, kept, widths, cells, row):
            text.append("\n").append_text(line)
    return text, [column.title for at, column in enumerate(table.columns) if at not in kept]


def needed_width(table: Table) -> int:
    """Return the columns of a terminal from which nothing is left out of a table."""
    return _total(table, range(len(table.columns)), _widths(table))


def _widths(table: Table) -> list[int]:
    return [_width(table, at) for at in range(len(table.columns))]


def _total(table: Table, kept: Sequence[int], wide: Sequence[int]) -> int:
    widths = [min(wide[at], _NAME) if table.columns[at].wraps else wide[at] for at in kept]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _width(table: Table, at: int, *, narrow: bool = False) -> int:
    """Return the width of a column; `narrow` with its title broken at spaces."""
    title = table.columns[at].title
    texts = (*title.split(), "") if narrow else (title,)
    texts += tuple(cell_text(row.cells[at]) for row in table.rows)
    return max(cell_len(line) for text in texts for line in text.split("\n"))


def _fitted(table: Table, kept: Sequence[int], wide: Sequence[int], width: int) -> list[int]:
    """Return the width of each column; those that may be broken share what the others leave."""
    narrow = _total(table, kept, wide) > width
    widths = [_width(table, at, narrow=True) if narrow else wide[at] for at in kept]
    free = [place for place, at in enumerate(kept) if table.columns[at].wraps]
    left = width - len(_GAP) * (len(kept) - 1)
    left -= sum(wide for place, wide in enumerate(widths) if place not in free)
    for done, place in enumerate(sorted(free, key=lambda place: widths[place])):
        widths[place] = min(widths[place], max(_LEAST, left // (len(free) - done)))
        left -= widths[place]
    return widths


def _joined(
    table: Table,
    kept: Sequence[int],
    widths: Sequence[int],
    cells: Sequence[Sequence[str]],
    row: Row | None = None,
) -> Iterator[Text]:
    """Yield the lines of a row, each cell padded to its column."""
    for number in range(max(map(len, cells), default=0)):
        line = Text(style=_ROW.get(row.kind, "") if row else "")
        for place, (at, wide) in enumerate(zip(kept, widths, strict=True)):
            part = cells[place][number] if number < len(cells[place]) else ""
            space = " " * (wide - cell_len(part))
            padded = f"{space}{part}" if table.columns[at].numeric else f"{part}{space}"
            line.append(padded, _style(row.cells[at]) if row else "")
            line.append(_GAP if place + 1 < len(kept) else "")
        yield line


def _style(cell: Cell) -> str | None:
    return STYLES.get(cell.like or cell.word) if isinstance(cell, Verdict) else None


def _broken(text: str, width: int) -> list[str]:
    """Return a text in lines: at spaces, a longer word behind . _ - ( or =, else anywhere."""
    if "\n" not in text and cell_len(text) <= width:
        return [text]
    lines = []
    for paragraph in text.split("\n"):
        words = textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False)
        lines += [piece for word in words for piece in _InsideWords(width).wrap(word)]
    return lines


class _InsideWords(textwrap.TextWrapper):
    """Breaks words, but no numbers."""

    wordsep_re = re.compile(r"(\s+)|(?<=[._(-])(?=[^\W\d])|(?<==)")
