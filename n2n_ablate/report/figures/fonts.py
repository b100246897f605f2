"""Letters for names in any script: the font that is always there, then those of this machine that have more."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALWAYS = "DejaVu Sans"  # matplotlib brings it: Latin, Greek, Cyrillic and signs
_MORE = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC"),
    *(
        "WenQuanYi Micro Hei",
        "WenQuanYi Zen Hei",
        "Droid Sans Fallback",
        "Microsoft YaHei",
        "SimHei",
    ),
    *("PingFang SC", "Hiragino Sans", "Malgun Gothic", "Arial Unicode MS", "Unifont"),
)


@cache
def families() -> tuple[str, ...]:
    """Return the names of the fonts to look for letters in, in this order."""
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return (_ALWAYS, *(name for name in _MORE if name in installed))


def file_for(text: str, *, bold: bool = False) -> str:
    """Return the file of the first font that has all letters of a text, else of the first font."""
    from matplotlib import font_manager

    weight = "bold" if bold else "normal"
    files = [
        font_manager.findfont(font_manager.FontProperties(family=name, weight=weight))
        for name in families()
    ]
    known = (file for file in files if all(ord(letter) in _letters(file) for letter in text))
    return next(known, files[0])


def save(figure: Figure, target: Path | str | IO[Any], **options: Any) -> None:
    """Save a figure with every letter that a font of this machine has; the others are boxes.

    `target`: a path or an open file; `options`: as for `Figure.savefig`.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if not text.get_text().isascii():  # looking through several fonts takes its time
            text.set_fontfamily(list(families()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(target, **options)


@cache
def _letters(file: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(file).get_charmap())
