"""Writes a document as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import io
import re
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from n2n_ablate.report.document import Block, Cell, Column, Document, Heading, Verdict, cell_text
from n2n_ablate.report.figures.fonts import save
from n2n_ablate.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_SHORTEST_CONTENTS = 2  # headings: a page with fewer needs no list of them


def html(document: Document) -> str:
    """Return a document as a page."""
    here = files("n2n_ablate.report.render")
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(lambda name: here.joinpath(name).read_text("utf-8")),
    )
    links = [block for block in document.blocks if isinstance(block, Heading) and block.key]
    return environment.get_template("page.html.jinja").render(
        document=document,
        links=links if len(links) >= _SHORTEST_CONTENTS else [],
        style=Markup(here.joinpath("page.css").read_text("utf-8")),
        version=__version__,
        kind_of=_kind,
        cell_text=cell_text,
        cell_class=_cell_class,
        inline=inline,
    )


def _kind(block: Block) -> str:
    return type(block).__name__


def _cell_class(cell: Cell, column: Column) -> str:
    if isinstance(cell, Verdict):
        return (cell.like or cell.word).replace(" ", "-")
    return "number" if column.numeric else ""


_BLACK = re.compile(r"(stroke|fill): #000000")
_WHITE = re.compile(r"fill: #ffffff")
_WIDTH = re.compile(r'width="([\d.]+)pt"')
_WIDE = 360.0  # in points; what is wider is not shrunk to a telephone, where nobody could read it
_NUMBERED = re.compile(r'<g id="[A-Za-z0-9.]+_\d+"')


def inline(figure: Figure, name: str, description: str) -> Markup:
    """Return a figure as an SVG element for a page.

    Its letters stay letters, and what is black takes the colour of the page's text.

    `name`: unique in the page, so that no two figures share an id.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        save(
            figure,
            buffer,
            format="svg",
            transparent=True,
            bbox_inches="tight",
            pad_inches=0.04,
            metadata=nothing,
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = _WHITE.sub("fill: none", _NUMBERED.sub("<g", text))
    text = _BLACK.sub(r"\1: currentColor", text)
    width = _WIDTH.search(text)
    wide = bool(width and float(width[1]) > _WIDE)
    label = Markup('<svg role="img"{} aria-label="{}"').format(
        Markup(' class="wide"') if wide else "", description
    )
    return Markup(text.replace("<svg", label, 1))
