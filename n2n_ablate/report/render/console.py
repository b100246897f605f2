"""Prints a document on a terminal with rich."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
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
    Name,
    Paragraph,
    Table,
    Verdict,
    cell_text,
)
from n2n_ablate.report.numbers import format_signed, join_words

_STYLE = {"better": "green", "worse": "red", "equivalent": "cyan", "inconclusive": "dim"}
_ROLE = {"note": "dim", "warning": "yellow"}
_ROW = {"baseline": "bold", "reference": "dim"}
_NARROWEST, _WIDEST = 20, 60  # columns of the axis of a dot plot
_NAME = 24  # columns that a name gets before optional columns are dropped
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


def rich_table(table: Table, width: int) -> RichTable:
    """Return a table as wide as its cells, without optional columns where they would not fit."""
    kept = list(range(len(table.columns)))
    for at in reversed(kept.copy()):
        if table.columns[at].optional and _width(table, kept, _NAME) > width:
            kept.remove(at)
    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for at in kept:
        column = table.columns[at]
        drawn.add_column(
            Text(column.title),
            justify="right" if column.numeric else "left",
            no_wrap=not column.wraps,
            overflow="fold",
        )
    for row in table.rows:
        cells = [_cell(row.cells[at]) for at in kept]
        drawn.add_row(*cells, style=_ROW.get(row.kind, ""))
    return drawn


def natural_width(table: Table) -> int:
    """Return the columns of a terminal that a table takes if nothing in it is broken."""
    return _width(table, range(len(table.columns)))


def _width(table: Table, kept: Sequence[int], longest: int = sys.maxsize) -> int:
    """Return the width of some columns of a table; `longest` of what may be broken into lines."""
    widths = []
    for at in kept:
        texts = (table.columns[at].title, *(cell_text(row.cells[at]) for row in table.rows))
        width = max(map(cell_len, texts))
        widths.append(min(width, longest) if table.columns[at].wraps else width)
    return sum(widths) + 2 * (len(widths) - 1)


def _print_table(console: Console, table: Table) -> None:
    if table.caption:
        console.print(Text(table.caption))
    drawn = rich_table(table, console.width)
    console.print(drawn)
    console.print()
    for note in table.notes:
        console.print(_wrapped(note, console.width, "dim"))
    shown = {str(column.header) for column in drawn.columns}
    if hidden := [column.title for column in table.columns if column.title not in shown]:
        need = _width(table, range(len(table.columns)), _NAME)
        text = f"Widen the terminal to {need} columns to see {join_words(hidden)}."
        console.print(Text(text, style="dim"))


def _cell(cell: Cell) -> RenderableType:
    match cell:
        case Name(text):
            return _BreakingName(text)
        case Verdict(word, like):
            return Text(word, style=_STYLE.get(like or word, ""))
    return Text(cell_text(cell))


def _definitions(pairs: Sequence[tuple[str, str]]) -> RichTable:
    grid = RichTable.grid(padding=(0, 2, 0, 0))
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


class _BreakingName:
    """A trial's name. A word too long for its column breaks behind . _ - or = where it can."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines for the width there is."""
        yield Text("\n".join(self._lines(options.max_width)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width of the longest piece and that of the whole."""
        pieces = Text("\n".join(self._lines(1, break_long_words=False)))
        return Measurement(
            Measurement.get(console, options, pieces).maximum,
            Measurement.get(console, options, Text(self.text)).maximum,
        )

    def _lines(self, width: int, *, break_long_words: bool = True) -> list[str]:
        words = textwrap.wrap(
            self.text, width, break_long_words=False, break_on_hyphens=False
        )  # at spaces, as long as that is enough
        inside = _InsideWords(width, break_long_words=break_long_words)
        return [piece for word in words for piece in inside.wrap(word)]


class _InsideWords(textwrap.TextWrapper):
    """Breaks words, but no numbers."""

    wordsep_re = re.compile(r"(\s+)|(?<=[._(-])(?=[^\W\d])|(?<==)")


def dot_plot_lines(plot: DotPlot, width: int) -> Iterator[Text]:
    """Yield a dot plot: a line per contrast with a dot per image, then the axis.

    Args:
        plot: What to show.
        width: Columns of the terminal.
    """
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
    return text[:mean] + Text("\u25c6", style=_STYLE.get(row.verdict, "")) + text[mean + 1 :]
