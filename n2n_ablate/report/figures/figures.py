"""Draws denoised images beside what they are compared with. Returns pictures, writes none."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from n2n_ablate.report.figures.fonts import file_for

LARGEST_ERROR = 0.15
"""End of the error scale, in units of the image: larger errors look the same. Fixed, so that error
maps of different trials can be compared by eye."""

INK, FAINT, PAPER = (32, 32, 32), (120, 120, 120), (255, 255, 255)
_GAP, _LABEL = 6, 18
_SMALL = 128  # panels with shorter sides are enlarged: nobody sees a pixel of a 96-pixel image


@dataclass(frozen=True, eq=False)
class Sight:
    """One denoised image with what it is compared with; arrays (c, h, w), 0 black and 1 white."""

    name: str  # of the image
    noisy: np.ndarray | None  # what was given, None if the image is not there any more
    clean: np.ndarray | None  # what should have come out, None likewise
    denoised: np.ndarray | None  # what came out, None if the fit failed
    psnr: float | None = None  # of the denoised image, as the trial's metric gave it
    failure: str = ""  # why there is no denoised image

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of whichever image is there; of one pixel if none is."""
        there = [x.shape for x in (self.clean, self.noisy, self.denoised) if x is not None]
        return there[0] if there else (1, 1, 1)


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    """Return the PSNR in dB of an image clipped to [0, 1]; infinite for equal images."""
    error = float(np.mean((np.clip(image, 0, 1) - clean) ** 2, dtype=np.float64))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def strip(sight: Sight, *, side: int = 768) -> Image.Image:
    """Draw one row: noisy, denoised, clean and the error, each with a label above it.

    `side`: panels with longer sides are shrunk by a whole factor, and the label says so.
    """
    h, w = sight.shape[-2:]
    shrink = -(-max(h, w) // side)
    zoom = -(-_SMALL // max(h, w))
    note = f"  1:{shrink}" if shrink > 1 else f"  {zoom}x" if zoom > 1 else ""
    panels = _panels(sight, f"{w}x{h}{note}")
    width, height = -(-w // shrink) * zoom, -(-h // shrink) * zoom
    row = Image.new("RGB", (4 * width + 3 * _GAP, height + _LABEL), PAPER)
    draw = ImageDraw.Draw(row)
    for index, (label, picture, missing) in enumerate(panels):
        x = index * (width + _GAP)
        draw.text((x + 1, 2), fitting(label, width), INK, font(12, label))
        if picture is None:
            draw.rectangle((x, _LABEL, x + width - 1, _LABEL + height - 1), (236, 236, 236))
            draw.text(
                (x + 6, _LABEL + 6),
                fitting(missing, width - 12),
                INK,
                font(11),
            )
            continue
        picture = picture.reduce(shrink) if shrink > 1 else picture
        row.paste(picture.resize((width, height), Image.Resampling.NEAREST), (x, _LABEL))
    _error_scale(row, 3 * (width + _GAP), width)
    return row


def _panels(sight: Sight, size: str) -> list[tuple[str, Image.Image | None, str]]:
    """Return label and picture of each panel, and what to say if there is no picture."""
    noisy, denoised, clean = sight.noisy, sight.denoised, sight.clean
    before = f"{psnr(noisy, clean):.2f} dB" if noisy is not None and clean is not None else ""
    after = f"{sight.psnr:.2f} dB" if sight.psnr is not None else ""
    failure = sight.failure if denoised is None else ""
    error = None if denoised is None or clean is None else error_map(denoised, clean)
    gone = "image not found"
    return [
        (f"noisy  {before}", None if noisy is None else photo(noisy), gone),
        (
            f"denoised  {after}",
            None if denoised is None else photo(denoised),
            failure or "no result",
        ),
        (f"clean  {size}", None if clean is None else photo(clean), gone),
        ("error", error, failure or gone),
    ]


def contact_sheet(strips: Mapping[str, Image.Image], *, title: str = "") -> Image.Image:
    """Put strips one below another, each under the name of its image."""
    head = 30 if title else 0
    width = max((row.width for row in strips.values()), default=256)
    height = head + sum(row.height + _LABEL + 2 * _GAP for row in strips.values())
    sheet = Image.new("RGB", (width + 2 * _GAP, max(height, 1)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 6), fitting(title, width, 15), INK, font(15, title))
    y = head
    for name, row in strips.items():
        draw.text((_GAP, y + 2), fitting(name, width, 13), INK, font(13, name, bold=True))
        sheet.paste(row, (_GAP, y + _LABEL + 2))
        y += row.height + _LABEL + 2 * _GAP
    return sheet


def font(size: int, text: str = "", *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font of a label: matplotlib's own, or one of this machine that has its letters."""
    return _loaded(file_for(text, bold=bold), size)


@functools.cache  # by file: kept by text, a long study would hold a font for each of its labels
def _loaded(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


def fitting(text: str, width: int, size: int = 12) -> str:
    """Shorten a text to a width in pixels."""
    letters = font(size, text)
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def photo(pixels: np.ndarray) -> Image.Image:
    """Return an image (c, h, w), 0 black and 1 white, as 8-bit RGB."""
    samples = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(samples[0] if len(samples) == 1 else samples.transpose(1, 2, 0)).convert(
        "RGB"
    )


def error_map(denoised: np.ndarray, clean: np.ndarray) -> Image.Image:
    """Return the size of the error in colours, from 0 to `LARGEST_ERROR`."""
    size = np.abs(np.clip(denoised, 0, 1) - clean).mean(axis=0) / LARGEST_ERROR
    return Image.fromarray(_colours()[np.rint(np.clip(size, 0, 1) * 255).astype(np.uint8)])


@functools.cache
def _colours() -> np.ndarray:
    import matplotlib as mpl

    return (mpl.colormaps["inferno"](np.arange(256))[:, :3] * 255).astype(np.uint8)


def _error_scale(row: Image.Image, left: int, width: int) -> None:
    """Draw the scale of the error map into its label: 0, colours, the largest error."""
    draw = ImageDraw.Draw(row)
    start = left + int(font(12).getlength("error  "))
    end = left + width - int(font(12).getlength(f" {LARGEST_ERROR}+"))
    zero = int(font(12).getlength("0 "))
    if end - start - zero < 8:
        return
    draw.text((start, 2), "0", INK, font(12))
    draw.text((end, 2), f" {LARGEST_ERROR}+", INK, font(12))
    bar = Image.fromarray(np.tile(_colours(), (10, 1, 1)))
    row.paste(bar.resize((end - start - zero, 10)), (start + zero, 4))


def data_png(picture: Image.Image) -> str:
    """Return a picture as the address of a `data:` PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
