"""Finds which pixels feed which view, by the gradients of the views, so any plugin's sampler will do; and draws it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from n2n_ablate.components import (
    MeasuredNoise,
    Noise,
    Sampler,
    at_step,
    declared,
    declares,
    is_fixed,
    mask_of,
    pairs_of,
    prepare_sampler,
    watchdog,
)
from n2n_ablate.report.figures.figures import FAINT, INK, PAPER, fitting, font

SIDES = (12, 24)
"""Sides of the probe image in pixels; the second for samplers that need more than 12."""

_STEPS = 1000  # of the training that a schedule is asked about

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Where the two views of a pair come from."""

    side: int  # of the probe image, in pixels
    names: tuple[str, str]  # of the two views
    total: np.ndarray  # weight of every pixel in all of a view, shape (2, side, side)
    cell: np.ndarray  # weight of every pixel in one pixel of a view, near the middle; same shape
    alike: bool  # whether a second draw cut in the same way
    declared: bool  # whether the sampler says that every draw does
    scheduled: bool = False  # whether it changes over the training; then this is step 0
    hidden: np.ndarray | None = None  # of a sampler that masks: which pixels, shape (side, side)


def anatomy(sampler: Sampler, noise: Noise | None = None) -> Anatomy:
    """Find out which pixels feed which view, by gradients on an image of random grays.

    Raises:
        Exception: Whatever the sampler raises on images of both sizes in `SIDES`.
    """
    for side in SIDES:
        try:
            return _anatomy(sampler, side, noise)
        except Exception:  # a larger image may suit it
            if side == SIDES[-1]:
                raise
    raise AssertionError


def _anatomy(sampler: Sampler, side: int, noise: Noise | None) -> Anatomy:
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(1, 1, side, side, generator=rng)
    scheduled = declares(sampler, "at")
    known: Noise | MeasuredNoise | None = noise
    if noise is None and declared(sampler, "needs_shots", False):
        known = MeasuredNoise((torch.rand(image.shape, generator=rng),))
    sampler = prepare_sampler(at_step(sampler, 0, _STEPS), image, known)
    split, other = (sampler.draw(image, rng) for _ in range(2))
    again = other(image)
    with torch.enable_grad():
        image = image.requires_grad_()
        views = split(image)
        pair = pairs_of(sampler)[0]
        chosen = [views[index] for index in pair]
        total = [_weights(view.sum(), image) for view in chosen]
        cell = [
            _weights(view[0, 0, view.shape[2] // 2, view.shape[3] // 2], image) for view in chosen
        ]
    many = f" of {len(views)}" if len(views) > 2 else ""
    names = [
        f"view {index + 1}{many} ({view.shape[3]}x{view.shape[2]})"
        for index, view in zip(pair, chosen, strict=True)
    ]
    alike = all(map(torch.equal, views, again))
    mask = mask_of(split)
    return Anatomy(
        side,
        (names[0], names[1]),
        np.stack(total),
        np.stack(cell),
        alike,
        is_fixed(sampler),
        scheduled,
        None if mask is None else mask[0, 0].bool().numpy(),
    )


def _weights(value: Tensor, image: Tensor) -> np.ndarray:
    if not value.requires_grad:  # a view that is made of something else than this image
        return np.zeros(image.shape[-2:], np.float32)
    (gradient,) = torch.autograd.grad(value, image, retain_graph=True, allow_unused=True)
    return np.zeros(image.shape[-2:], np.float32) if gradient is None else gradient[0, 0].numpy()


def box_of(cell: np.ndarray) -> Box:
    """Return the smallest square around all weights, as (top, left, bottom, right)."""
    rows, columns = np.nonzero(cell.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    top, left = (min(int(at.min()), cell.shape[-1] - side) for at in (rows, columns))
    return top, left, top + side, left + side


FIRST, SECOND = (31, 119, 180), (255, 127, 14)
_PANEL, _GAP, _LABEL, _HEAD, _LINE = 300, 22, 28, 30, 26
_TEXT, _SMALLEST, _LARGEST = 18, 14, 22  # a page shows the picture at two thirds of its size
_SWATCH = 14
_FAINTEST = 0.3  # a pixel of weight 0.005 must still be seen to be used

Colour = tuple[int, int, int]


def sampler_picture(
    sampler: Sampler, *, title: str = "", noise: Noise | None = None
) -> Image.Image:
    """Draw which pixels feed which view, and with which weights.

    On the left all pixels of a small image: blue ones feed the first view, orange ones the second,
    divided ones both. To the right the weights behind one pixel of each view, framed on the left.
    """
    head = _HEAD if title else _GAP // 2
    size = (3 * _PANEL + 4 * _GAP, head + _LABEL + _PANEL + 2 * _LINE + _GAP)
    picture = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_GAP, 4), fitting(title, picture.width - 2 * _GAP, _TEXT), INK, font(_TEXT))
    try:
        with watchdog.time_limit(watchdog.LIMIT, "a sampler that is being drawn"):
            cut = anatomy(sampler, noise)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a plugin may raise anything; a picture is worth no trial
        reason = f"cannot be drawn: {str(error) or type(error).__name__}"
        reason = fitting(reason, picture.width - 2 * _GAP, _TEXT)
        draw.text((_GAP, head + 2), reason, INK, font(_TEXT))
        return picture.crop((0, 0, picture.width, head + _LABEL))
    box, top = box_of(cut.cell), head + _LABEL
    draw.text((_GAP, head + 2), f"{cut.side}x{cut.side} pixels of the image", INK, font(_TEXT))
    _draw_map(draw, cut, box, top)
    for index, colour in enumerate((FIRST, SECOND)):
        x = _GAP + (index + 1) * (_PANEL + _GAP)
        short = cut.names[index].partition(" of ")[0].partition(" (")[0]  # the key has the whole
        draw.text((x, head + 2), f"behind one pixel of {short}", INK, font(_TEXT))
        _draw_cell(draw, cut.cell[index], box, colour, (x, top))
    _draw_key(draw, cut, top + _PANEL + _GAP // 2)
    return picture


def _shade(colour: Colour, share: float) -> Colour:
    """Mix a colour with white; the share is 0 for none and 1 for the colour itself."""
    share = _FAINTEST + (1 - _FAINTEST) * min(1.0, abs(share)) if share else 0.0
    red, green, blue = (round(255 + (part - 255) * share) for part in colour)
    return red, green, blue


def _draw_map(draw: ImageDraw.ImageDraw, cut: Anatomy, box: Box, top: int) -> None:
    size, left = _PANEL // cut.side, _GAP
    largest = float(np.abs(cut.total).max()) or 1.0
    for row in range(cut.side):
        for column in range(cut.side):
            first, second = (float(weight) / largest for weight in cut.total[:, row, column])
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
            shade = _shade(colour, weight / largest)
            draw.rectangle((x, y, x + size, y + size), shade, (205, 205, 205))
            text, letters = f"{weight:.3g}", font(min(_LARGEST, max(_SMALLEST, size // 4)))
            if weight and letters.getlength(text) <= size - 4:
                ink = PAPER if sum(shade) < 3 * 128 else INK
                draw.text((x + size // 2, y + size // 2), text, ink, letters, anchor="mm")


def _draw_key(draw: ImageDraw.ImageDraw, cut: Anatomy, y: int) -> None:
    both = int(((cut.total[0] != 0) & (cut.total[1] != 0)).sum())
    noise = " (their noise reaches both)" if both else ""
    x = _draw_entry(draw, (_GAP, y), FIRST, f"feeds {cut.names[0]}")
    _draw_entry(draw, (x, y), SECOND, f"feeds {cut.names[1]}")
    text = f"feeds both: {both} of {cut.side**2} pixels{noise}"
    x = _draw_entry(draw, (_GAP, y + _LINE), FIRST, text)
    right, bottom = _GAP + _SWATCH, y + _LINE + 4 + _SWATCH
    draw.polygon(((right, bottom - _SWATCH), (right, bottom), (_GAP, bottom)), SECOND)
    remarks = ["at step 0"] if cut.scheduled else []
    if not cut.total.any():
        remarks.append("its views do not follow from single pixels")
    elif not cut.alike:
        remarks.append("one draw of many")
    draw.text((x, y + _LINE), ", ".join(remarks), FAINT, font(_TEXT))


def _draw_entry(draw: ImageDraw.ImageDraw, at: tuple[int, int], colour: Colour, text: str) -> int:
    """Draw a square and what it means; return where the next entry can start."""
    x, y = at
    draw.rectangle((x, y + 4, x + _SWATCH, y + 4 + _SWATCH), colour)
    draw.text((x + _SWATCH + 8, y), text, INK, font(_TEXT))
    return x + _SWATCH + 8 + int(font(_TEXT).getlength(text)) + 28
