"""A document before it is rendered: headings, paragraphs, tables, figures, lists.

A builder fills it from records, a renderer turns it into a terminal screen, a page, Markdown or LaTeX.
A cell is the text of a number or a name, a verdict, which renderers colour, or a curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from n2n_ablate.report.numbers import sparkline

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class VerdictStyle:
    """How a verdict looks; empty for like any other text."""

    sign: str = ""  # so that a table in black and white can be read at a glance
    terminal: str = ""  # style of a terminal
    ink: str = ""  # colour in figures


VERDICT_STYLES = {
    "better": VerdictStyle("\u25b2", "green", "#23945a"),
    "worse": VerdictStyle("\u25bc", "red", "#d3504f"),
    "equivalent": VerdictStyle("\u2248", "cyan", "#2b8cbe"),
    "inconclusive": VerdictStyle("?", "dim", "#b07d1e"),
    "withheld": VerdictStyle("\u2013"),
}
"""By verdict; the HTML page has its colours, for light and dark, in `render/page.css`."""


def style_of(verdict: str) -> VerdictStyle:
    """Return how a verdict looks."""
    return VERDICT_STYLES.get(verdict, VerdictStyle())


@dataclass(frozen=True)
class Verdict:
    """One of the verdicts, or another word that is coloured like the verdict `like`."""

    word: str
    like: str = ""


@dataclass(frozen=True)
class Curve:
    """A curve in miniature; formats without such a thing leave its column out."""

    values: Sequence[float]


Cell: TypeAlias = str | int | Verdict | Curve


def cell_text(cell: Cell, *, signs: bool = False) -> str:
    """Return what people read in a cell."""
    if isinstance(cell, Verdict):
        sign = style_of(cell.like or cell.word).sign if signs else ""
        return f"{sign} {cell.word}".strip()
    return sparkline(cell.values) if isinstance(cell, Curve) else str(cell)


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str  # above it
    numeric: bool = True  # aligned to the right
    # left out where the page is too narrow for the table; `left_out` says so
    optional: bool = False
    wraps: bool = False  # may be broken into several lines


@dataclass(frozen=True)
class Row:
    """A row of a table; `kind` styles it: `baseline`, `reference`, or nothing."""

    cells: Sequence[Cell]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table."""

    columns: Sequence[Column]  # from the left
    rows: Sequence[Row]  # each with a cell per column
    caption: str = ""  # what it shows, in a sentence
    notes: Sequence[str] = ()  # how to read what it shows, a sentence each
    key: str = ""  # unique in the document, for labels: letters, digits and hyphens
    detail: bool = False  # whether it supports another table; a paper has no place for it

    @property
    def head(self) -> int:
        """The column whose cells name the rows: the first that holds no numbers."""
        return next((at for at, column in enumerate(self.columns) if not column.numeric), 0)

    @property
    def printed(self) -> Table:
        """The table without curves, which have no place on paper."""
        kept = [
            at
            for at, _ in enumerate(self.columns)
            if not any(isinstance(row.cells[at], Curve) for row in self.rows)
        ]
        rows = [Row([row.cells[at] for at in kept], row.kind) for row in self.rows]
        return replace(self, columns=[self.columns[at] for at in kept], rows=rows)


@dataclass(frozen=True)
class Heading:
    """A heading; 1 is the title of the document. `key` is an address within a page."""

    text: str
    level: int = 2
    key: str = ""


@dataclass(frozen=True)
class Paragraph:
    """A paragraph. `role` is `answer`, `note` (small print), `warning`, `command` or nothing."""

    text: str
    role: str = ""


@dataclass(frozen=True)
class Lines:
    """Short lines that belong together. `role` as in `Paragraph`."""

    lines: Sequence[str]
    role: str = ""


@dataclass(frozen=True)
class Definitions:
    """Names with their values."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class DotRow:
    """A contrast in a dot plot: one difference per image, their mean and its interval if it has one."""

    name: str
    values: Sequence[float]
    mean: float
    interval: tuple[float, float] | None = None
    verdict: str = ""


@dataclass(frozen=True)
class DotPlot:
    """Differences by image on one axis, which a terminal can show as well."""

    rows: Sequence[DotRow]
    margin: float
    unit: str
    caption: str = ""
    digits: int = 2


@dataclass(frozen=True, eq=False)
class Figure:
    """Drawings side by side with one caption. `key` is unique in the document."""

    parts: Sequence[Drawing]
    caption: str
    key: str


@dataclass(frozen=True)
class Panel:
    """A picture with its label, as the address of a `data:` PNG; without one `missing` says why."""

    label: str
    source: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Strip:
    """One image: noisy and clean, then denoised image and error of each trial."""

    image: str
    why: str
    pairs: Sequence[tuple[Panel, Panel]]


@dataclass(frozen=True)
class Gallery:
    """Strips of images with one caption."""

    strips: Sequence[Strip]
    caption: str


@dataclass(frozen=True)
class Picture:
    """One picture as the address of a `data:` PNG."""

    source: str
    description: str
    caption: str


Block: TypeAlias = (
    Heading | Paragraph | Lines | Definitions | Table | DotPlot | Figure | Gallery | Picture
)


@dataclass(frozen=True)
class Document:
    """Blocks in the order in which they are read."""

    title: str  # the question that it answers
    subtitle: str = ""  # which study, profile and settings
    blocks: Sequence[Block] = field(default_factory=tuple)  # what it says
