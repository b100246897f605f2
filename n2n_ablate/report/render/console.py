"""Prints a document on a terminal with rich. Tables are linear in cells, for those of thousands of rows."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from n2n_ablate.report.document import (
    Block,
    Cell,
    Definitions,
    Document,
    DotPlot,
    DotRow,
    Heading,
    Lines,
    Paragraph,
    Row,
    Table,
    Verdict,
    cell_text,
    style_of,
)
from n2n_ablate.report.numbers import format_signed, join_words

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
    return style_of(cell.like or cell.word).terminal or None if isinstance(cell, Verdict) else None


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


_ROLE = {"note": "dim", "warning": "yellow"}
_NARROWEST, _WIDEST = 20, 60  # columns of the axis of a dot plot
_LONGEST = 36  # columns of a name beside that axis


def print_document(console: Console, document: Document) -> None:
    """Print what a terminal can show; pictures and drawn figures are left to the page."""
    for block in document.blocks:
        print_block(console, block)


def print_block(console: Console, block: Block) -> None:
    """Print one block."""
    match block:
        case Heading(text, level, _):
            console.print()
            console.print(_wrapped(text, console.width, "bold" if level < 3 else ""))
        case Paragraph(text, "answer"):
            console.print()
            console.print(_wrapped(text, console.width, "bold"))
        case Paragraph(text, "command"):  # never broken, so that it can be copied
            console.print(Text(text), soft_wrap=True)
        case Paragraph(text, role):
            console.print(_wrapped(text, console.width, _ROLE.get(role, "")))
        case Lines(lines, role):
            for line in lines:
                console.print(_wrapped(line, console.width, _ROLE.get(role, ""), "  "))
        case Definitions(pairs):
            console.print(_definitions(pairs))
        case Table():
            _print_table(console, block)
        case DotPlot():
            console.print()
            for row in dot_plot_lines(block, console.width):
                console.print(row)


def _print_table(console: Console, table: Table) -> None:
    if table.caption:
        console.print(Text(table.caption))
    drawn, hidden = layout(table, console.width)
    console.print(drawn, soft_wrap=True)
    console.print()
    for note in table.notes:
        console.print(_wrapped(note, console.width, "dim"))
    if hidden:
        text = f"Widen the terminal to {needed_width(table)} columns to see {join_words(hidden)}."
        console.print(Text(text, style="dim"))


def _definitions(pairs: Sequence[tuple[str, str]]) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(f"  {name}"), Text(value))
    return grid


def _wrapped(text: str, width: int, style: str, indent: str = "") -> Text:
    """Return a text in lines of a length that can be read, indented as its first line is."""
    indent = indent or text[: len(text) - len(text.lstrip())]
    lines = textwrap.wrap(
        text.lstrip(),
        max(40, min(width, 100)),
        initial_indent=indent,
        subsequent_indent=2 * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return Text("\n".join(lines), style=style)


def dot_plot_lines(plot: DotPlot, width: int) -> Iterator[Text]:
    """Yield a dot plot: a line per contrast with a dot per image, then the axis."""
    if not plot.rows:
        return
    most = max(1, min(_LONGEST, width - _NARROWEST - len(plot.unit) - 4))
    label = min(most, max(cell_len(row.name) for row in plot.rows))
    axis = max(_NARROWEST, min(_WIDEST, width - label - len(plot.unit) - 4))
    reach = [value for row in plot.rows for value in (*row.values, -plot.margin, plot.margin, 0.0)]
    low, high = min(reach), max(reach)
    scale = (axis - 1) / ((high - low) or 1.0)
    for row in plot.rows:
        name = row.name if cell_len(row.name) <= label else f"{row.name[: label - 1]}\u2026"
        line = Text(f"{name:<{label}}  ")
        yield line.append_text(_dots(row, low, scale, axis))
    marks = {0: format_signed(low, plot.digits), axis - 1: format_signed(high, plot.digits)}
    scale_line = marks[0].ljust(axis - len(marks[axis - 1])) + marks[axis - 1]
    zero = round(-low * scale)
    if len(marks[0]) < zero < axis - len(marks[axis - 1]) - 1:
        scale_line = f"{scale_line[:zero]}0{scale_line[zero + 1 :]}"
    yield Text(f"{'':<{label}}  {scale_line} {plot.unit}", style="dim")
    if plot.caption:
        yield _wrapped(plot.caption, width, "dim")


def _dots(row: DotRow, low: float, scale: float, axis: int) -> Text:
    cells = [" "] * axis

    def at(value: float) -> int:
        return min(axis - 1, max(0, round((value - low) * scale)))

    if row.interval:
        low_end, high_end = row.interval
        for place in range(at(low_end), at(high_end) + 1):
            cells[place] = "\u2500"
    cells[at(0.0)] = "\u2502"
    for place in sorted(map(at, row.values)):
        cells[place] = ":" if cells[place] in "\u00b7:" else "\u00b7"
    text = Text("".join(cells))
    mean = at(row.mean)
    return text[:mean] + Text("\u25c6", style=style_of(row.verdict).terminal) + text[mean + 1 :]
