"""Draws what a sampler cuts, as a picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from n2n_ablate.components import Noise, Sampler
from n2n_ablate.pictures.anatomy import Anatomy, Box, anatomy, box_of
from n2n_ablate.pictures.figures import FAINT, INK, PAPER, fitting, font

FIRST, SECOND = (31, 119, 180), (255, 127, 14)
_PANEL, _GAP, _LABEL, _HEAD, _FOOT = 300, 22, 22, 28, 26
_FAINTEST = 0.3  # a pixel of weight 0.005 must still be seen to be used

Colour = tuple[int, int, int]


def sampler_picture(
    sampler: Sampler, *, title: str = "", noise: Noise | None = None
) -> Image.Image:
    """Draw which pixels feed which view, and with which weights.

    On the left all pixels of a small image: blue ones feed the first view, orange ones the second,
    divided ones both. To the right the weights behind one pixel of each view, framed on the left.
    """
    picture = Image.new("RGB", (3 * _PANEL + 4 * _GAP, _HEAD + _LABEL + _PANEL + _FOOT), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_GAP, 7), fitting(title, picture.width - 2 * _GAP, 15), INK, font(15))
    try:
        found = anatomy(sampler, noise)
    except Exception as error:  # noqa: BLE001  a plugin may raise anything; a picture is worth no trial
        reason = fitting(
            f"cannot be drawn: {str(error) or type(error).__name__}", picture.width - 2 * _GAP
        )
        draw.text((_GAP, _HEAD + 6), reason, INK, font(12))
        return picture.crop((0, 0, picture.width, _HEAD + _FOOT))
    box = box_of(found.cell)
    _draw_map(draw, found, box)
    for place, colour in enumerate((FIRST, SECOND)):
        x = _GAP + (place + 1) * (_PANEL + _GAP)
        draw.text((x, _HEAD + 3), f"behind one pixel of {found.names[place]}", INK, font(12))
        _draw_cell(draw, found.cell[place], box, colour, (x, _HEAD + _LABEL))
    _draw_key(draw, found)
    return picture


def _shade(colour: Colour, share: float) -> Colour:
    """Mix a colour with white; the share is 0 for none and 1 for the colour itself."""
    share = _FAINTEST + (1 - _FAINTEST) * min(1.0, abs(share)) if share else 0.0
    red, green, blue = (round(255 + (part - 255) * share) for part in colour)
    return red, green, blue


def _draw_map(draw: ImageDraw.ImageDraw, found: Anatomy, box: Box) -> None:
    draw.text((_GAP, _HEAD + 3), f"{found.side}x{found.side} pixels of the image", INK, font(12))
    size = _PANEL // found.side
    top, left = _HEAD + _LABEL, _GAP
    largest = float(np.abs(found.total).max()) or 1.0
    for row in range(found.side):
        for column in range(found.side):
            first, second = (float(weight) / largest for weight in found.total[:, row, column])
            x, y = left + column * size, top + row * size
            square = (x, y, x + size, y + size)
            draw.rectangle(square, _shade(FIRST, first) if first else _shade(SECOND, second))
            if first and second:
                corner = ((x + size, y), (x + size, y + size), (x, y + size))
                draw.polygon(corner, _shade(SECOND, second))
            draw.rectangle(square, outline=(205, 205, 205))
    frame = (left + box[1] * size, top + box[0] * size, left + box[3] * size, top + box[2] * size)
    draw.rectangle(frame, outline=INK, width=3)


def _draw_cell(
    draw: ImageDraw.ImageDraw, cell: np.ndarray, box: Box, colour: Colour, at: tuple[int, int]
) -> None:
    part = cell[box[0] : box[2], box[1] : box[3]]
    size = _PANEL // len(part)
    largest = float(np.abs(part).max()) or 1.0
    for row, weights in enumerate(part):
        for column, weight in enumerate(map(float, weights)):
            x, y = at[0] + column * size, at[1] + row * size
            draw.rectangle(
                (x, y, x + size, y + size), _shade(colour, weight / largest), (205, 205, 205)
            )
            if weight and size >= 30:
                middle = (x + size // 2, y + size // 2)
                draw.text(middle, f"{weight:.3g}", INK, font(min(20, size // 4)), anchor="mm")


def _draw_key(draw: ImageDraw.ImageDraw, found: Anatomy) -> None:
    both = int(((found.total[0] != 0) & (found.total[1] != 0)).sum())
    noise = "  (their noise reaches both)" if both else ""
    entries = [
        (FIRST, f"feeds {found.names[0]}"),
        (SECOND, f"feeds {found.names[1]}"),
        (FAINT, f"feeds both: {both} of {found.side**2} pixels{noise}"),
    ]
    x, y = _GAP, _HEAD + _LABEL + _PANEL + 8
    for colour, text in entries:
        draw.rectangle((x, y, x + 11, y + 11), colour if colour != FAINT else FIRST)
        if colour == FAINT:
            draw.polygon(((x + 11, y), (x + 11, y + 11), (x, y + 11)), SECOND)
        draw.text((x + 17, y - 2), text, INK, font(12))
        x += 17 + int(font(12).getlength(text)) + 24
    told = ["at step 0"] if found.scheduled else []
    if not found.total.any():
        told.append("its views do not follow from single pixels")
    elif not found.alike:
        told.append("one draw of many")
    draw.text((x, y - 2), ", ".join(told), FAINT, font(12))
