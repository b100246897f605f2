"""Writes a document as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from importlib.resources import files

import jinja2
from markupsafe import Markup

from n2n_ablate.report.document import Block, Cell, Column, Document, Heading, Verdict, cell_text
from n2n_ablate.report.render.svg import inline
from n2n_ablate.version import __version__

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
