"""What a sampler cuts, as a small SVG: from the views that it makes, not from its description."""

from __future__ import annotations

from functools import cache
from xml.sax.saxutils import escape

import numpy as np

from n2n_ablate.errors import AblateError
from n2n_ablate.registry import Registry
from n2n_ablate.report.figures.sampler import Anatomy, anatomy, box_of

COLOURS = ("#1f77b4", "#ff7f0e")  # of the first and of the second view
_NOISES = ("", "poisson", "gaussian")  # some samplers have to know the noise
_PANEL, _GAP, _TOP, _WIDTH = 132, 18, 26, 450
_WHOLE = 5  # cells with longer sides are shown on the whole probe image
_SHOWN = 6  # pixels of the image, each way, that are enough for smaller cells
_FAINTEST = 0.25  # a pixel of weight 0.005 must still be seen to be used


@cache
def sampler(name: str, registry: Registry) -> str:
    """Return the drawing of a sampler at its defaults; empty if no pixel feeds a view by itself."""
    for noise in _NOISES:
        known = {"clip": False} if noise else {}
        try:
            model = registry.build("noise", noise, known) if noise else None
            cut = anatomy(registry.build("sampler", name, {}), model)
        except AblateError:
            continue  # it needs to know another noise
        return _drawing(name, cut) if cut.total.any() else ""
    return ""


def _drawing(name: str, cut: Anatomy) -> str:
    box = box_of(cut.cell)
    height = _TOP + _PANEL + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"',
        f' width="{_WIDTH}" height="{height}" role="img" font-family="sans-serif" font-size="11">',
        f"<title>{escape(name)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#fff"/>',
        _map(cut, box, _GAP / 2),
    ]
    for view in range(2):
        left = _GAP / 2 + (view + 1) * (_PANEL + _GAP)
        parts.append(_weights(cut, view, box, left))
    drawn = "the same at every draw" if cut.alike else "one draw of many"
    notes = [drawn, *(["at the first step"] if cut.scheduled else [])]
    if cut.hidden is not None:
        notes.append("dots: pixels hidden from view 1")
    notes += [
        f"view {view + 1} is made of something else" for view in (0, 1) if not cut.total[view].any()
    ]
    note = ", ".join(notes)
    parts.append(f'<text x="{_GAP / 2:g}" y="{height - 8}" fill="#666">{note}</text></svg>')
    return "\n".join(parts) + "\n"


def _map(cut: Anatomy, box: tuple[int, int, int, int], left: float) -> str:
    """Draw some pixels of the image in the colour of the view that they feed, or in both."""
    side = max(box[2] - box[0], box[3] - box[1])
    shown = _SHOWN if side < _WHOLE and cut.hidden is None else cut.side
    top, start = (max(0, min(at - side, cut.side - shown)) for at in box[:2])
    size = _PANEL / shown
    largest = np.abs(cut.total).max()
    parts = [f'<text x="{left:g}" y="17" fill="#222">{shown} x {shown} pixels of the image</text>']
    for row in range(shown):
        for column in range(shown):
            first, second = (cut.total[:, top + row, start + column] / largest).tolist()
            x, y = left + column * size, _TOP + row * size
            corner = f"M{x:.4g} {y:.4g}"
            whole = f"{corner}h{size:.4g}v{size:.4g}h-{size:.4g}z"
            colour = _shade(COLOURS[0], first) if first else _shade(COLOURS[1], second)
            parts.append(f'<path d="{whole}" fill="{colour}" stroke="#ccc"/>')
            if first and second:
                half = f"M{x + size:.4g} {y:.4g}v{size:.4g}h-{size:.4g}z"
                parts.append(f'<path d="{half}" fill="{_shade(COLOURS[1], second)}"/>')
            if cut.hidden is not None and cut.hidden[top + row, start + column]:
                middle = f'cx="{x + size / 2:.4g}" cy="{y + size / 2:.4g}" r="{size / 6:.3g}"'
                parts.append(f"<circle {middle}/>")
    x, y = left + (box[1] - start) * size, _TOP + (box[0] - top) * size
    frame = side * size
    parts.append(
        f'<rect x="{x:.4g}" y="{y:.4g}" width="{frame:.4g}" height="{frame:.4g}" fill="none" '
        'stroke="#222" stroke-width="2"/>'
    )
    return "\n".join(parts)


def _weights(cut: Anatomy, view: int, box: tuple[int, int, int, int], left: float) -> str:
    """Draw the weights of the framed pixels in one pixel of a view."""
    part = cut.cell[view, box[0] : box[2], box[1] : box[3]]
    size, largest = _PANEL / len(part), float(np.abs(part).max()) or 1.0
    letters = min(15, max(8, size / 3.2))
    short = cut.names[view].partition(" (")[0]
    parts = [f'<text x="{left:g}" y="17" fill="#222">one pixel of {escape(short)}</text>']
    for row, line in enumerate(part.tolist()):
        for column, weight in enumerate(line):
            x, y = left + column * size, _TOP + row * size
            colour = _shade(COLOURS[view], weight / largest)
            parts.append(
                f'<rect x="{x:.4g}" y="{y:.4g}" width="{size:.4g}" height="{size:.4g}" '
                f'fill="{colour}" stroke="#ccc"/>'
            )
            text = f"{weight:.2g}".replace("-", "\u2212").replace("0.", ".", 1)
            if weight and size > 5 * len(text):
                ink = "#fff" if abs(weight) / largest > 0.6 and view == 0 else "#222"
                parts.append(
                    f'<text x="{x + size / 2:.4g}" y="{y + size / 2 + letters / 3:.4g}" fill="{ink}" '
                    f'font-size="{letters:.3g}" text-anchor="middle">{text}</text>'
                )
    return "\n".join(parts)


def _shade(colour: str, share: float) -> str:
    """Mix a colour with white; the share is 0 for none and 1 for the colour itself."""
    share = _FAINTEST + (1 - _FAINTEST) * min(1.0, abs(share)) if share else 0.0
    mixed = (255 + (int(colour[at : at + 2], 16) - 255) * share for at in (1, 3, 5))
    return "#" + "".join(f"{round(part):02x}" for part in mixed)
