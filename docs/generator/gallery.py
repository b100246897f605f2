"""The pictures of the gallery: the studies that its page has are run, the pictures that it shows drawn."""

from __future__ import annotations

import base64
import io
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw

import n2n_ablate
from n2n_ablate.registry import Registry
from n2n_ablate.report.document import Document, Figure, Gallery, Panel, Strip
from n2n_ablate.report.figures.figures import INK, PAPER, font
from n2n_ablate.report.figures.fonts import save
from n2n_ablate.report.write import full_document
from n2n_ablate.storage import reopen

PAGE = Path(__file__).resolve().parent.parent / "gallery.md"
_PICTURE = re.compile(r"\(assets/gallery/([\w.-]+)\)")
_STUDY = re.compile(
    r'^```toml title="studies/([\w-]+)\.toml"\n(.*?)^```$', re.MULTILINE | re.DOTALL
)
_SIDE, _GAP, _LABEL = 128, 6, 34
_IMAGE = "chelsea"  # whose strip is shown: skin, fur and an edge
_COLOURS = 96  # of a photograph with its noise: more cost bytes and cannot be told apart


def write(
    folder: Path, images: Sequence[str] = (), crop: int | None = None, steps: int = 0
) -> None:
    """Run the studies of the page and write their pictures into a folder.

    Args:
        folder: Made where it is missing.
        images: Instead of the studies' own.
        crop: Instead of the studies' own, in pixels.
        steps: Instead of the studies' own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"training.steps": steps} if steps else {}
    for name, text in _STUDY.findall(PAGE.read_text(encoding="utf-8")):
        with tempfile.TemporaryDirectory() as output:
            file = Path(output) / f"{name}.toml"
            file.write_text(text, encoding="utf-8")
            result = n2n_ablate.run(
                file,
                settings=settings,
                images=images,
                crop=crop,
                tracking="none",
                output=output,
            )
            found = reopen.reopen(Path(output), name, run=result.run)
            document, _ = full_document(found, Registry(), diagnostics=False)
            _draw(document, folder, name)


def pictures() -> set[str]:
    """Return the names of the pictures that the page shows."""
    return set(_PICTURE.findall(PAGE.read_text(encoding="utf-8")))


def _draw(document: Document, folder: Path, name: str) -> None:
    """Write those figures and images of a report that the page shows."""
    for block in document.blocks:
        if isinstance(block, Figure):
            file = f"{name}-{block.key.partition('-')[0]}.svg"
            if file in pictures():
                with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
                    save(
                        block.parts[0], folder / file, bbox_inches="tight", metadata={"Date": None}
                    )
        elif isinstance(block, Gallery) and (file := f"{name}-images.png") in pictures():
            strip = next((one for one in block.strips if one.image == _IMAGE), block.strips[0])
            _sheet(strip).save(folder / file, optimize=True)


def _sheet(strip: Strip) -> Image.Image:
    """Draw the noisy image and the denoised ones, below them the clean image and the errors."""
    size = (len(strip.pairs) * (_SIDE + _GAP) - _GAP, 2 * (_SIDE + _LABEL))
    sheet = Image.new("RGB", size, PAPER)
    for column, pair in enumerate(strip.pairs):
        for row, panel in enumerate(pair):
            _paste(sheet, panel, (column * (_SIDE + _GAP), row * (_SIDE + _LABEL)))
    return sheet.quantize(_COLOURS)


def _paste(sheet: Image.Image, panel: Panel, at: tuple[int, int]) -> None:
    label = panel.label.replace(", ", "\n")
    ImageDraw.Draw(sheet).text(
        (at[0], at[1] + _LABEL - 2), label, INK, font(12, label), anchor="ld"
    )
    if panel.source:
        data = base64.b64decode(panel.source.partition(",")[2])
        picture = (
            Image.open(io.BytesIO(data))
            .convert("RGB")
            .resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
        )
        sheet.paste(picture, (at[0], at[1] + _LABEL))
