"""Turns figures and pictures into text that stands in a page: inline SVG, PNG as `data:`."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

from markupsafe import Markup

from n2n_ablate.report.figures.fonts import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

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


def data_png(picture: Image) -> str:
    """Return a picture as the address of a `data:` PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
