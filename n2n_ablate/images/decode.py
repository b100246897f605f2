"""From a file to samples. What a file holds decides, not what it is called."""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from n2n_ablate.errors import ImageError, missing_package, no_file

LARGEST = 400_000_000
"""Samples in a file; larger ones would fill the memory of most machines."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")  # Pillow knows others that run programs
_FRAMES = ("PNG", "WEBP", "GIF")
_TO_RGB = ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBa", "La")
_MOST_PAGES = 10_000


def decode(path: Path) -> list[np.ndarray]:
    """Return the samples of a file, (h, w) or (h, w, c), one array per page.

    Only TIFF files have pages. The orientation that a camera noted is applied.

    Raises:
        ImageError: The file is missing, damaged, too large, or of a form that cannot be used.
    """
    with _explained(path):
        if not path.is_file():
            msg = f"'{path}' {no_file(path)}."
            raise ImageError(msg)
        with path.open("rb") as file:
            start = file.read(4)
        if not start:
            msg = f"'{path}' cannot be read as an image: it is empty"
            raise ImageError(msg)
        return _tiff(path) if start in _TIFF else [_pillow(path)]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into one line that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no reason to refuse a photograph
            yield
    except ImageError:
        raise
    except ModuleNotFoundError as error:
        if missing_package(error):  # one of ours: told by the command line, with what to install
            raise
        msg = f"'{path}' cannot be read as an image: {error}"
        raise ImageError(msg) from error
    except MemoryError as error:
        msg = f"'{path}' cannot be read as an image: there is not enough memory"
        raise ImageError(msg) from error
    except Exception as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        msg = f"'{path}' cannot be read as an image: {reason}"
        raise ImageError(msg) from error


def _pillow(path: Path) -> np.ndarray:
    from PIL import Image as Pillow
    from PIL import ImageOps

    warnings.simplefilter("error", Pillow.DecompressionBombWarning)
    with Pillow.open(path, formats=_FORMATS) as image:
        _check_size(image.width * image.height * len(image.getbands()), path)
        frames = int(getattr(image, "n_frames", 1)) if image.format in _FRAMES else 1
        if frames > 1:
            msg = f"'{path}' is animated, with {frames} frames; save the one that you want"
            raise ImageError(msg)
        if image.format == "PNG" and _png_depth(path) == 16 and image.mode in ("RGB", "RGBA", "LA"):
            return _png16(path)  # Pillow would quietly keep 8 of the 16 bits
        image.load()
        upright = ImageOps.exif_transpose(image) or image
        if upright.mode in _TO_RGB:
            return np.asarray(upright.convert("RGB"))
        array = np.asarray(upright)
        if upright.mode.startswith("I"):  # Pillow keeps 16 bits in 32
            if array.size and (array.min() < 0 or array.max() > 65535):
                msg = f"'{path}' holds values from {array.min()} to {array.max()}; use 8 or 16 bits"
                raise ImageError(msg)
            return array.astype(np.uint16)
        return array


def _tiff(path: Path) -> list[np.ndarray]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        number = len(file.pages)
        if not number or number > _MOST_PAGES:
            msg = f"'{path}' has {number} pages; between 1 and {_MOST_PAGES} can be read"
            raise ImageError(msg)
        pages: list[Any] = list(file.pages)
        _check_size(sum(math.prod(page.keyframe.shape) for page in pages), path)
        return [_page(page, path) for page in pages]


def _page(page: Any, path: Path) -> np.ndarray:
    import tifffile

    kind = page.keyframe.photometric
    if kind == tifffile.PHOTOMETRIC.SEPARATED:
        msg = f"'{path}' holds inks (CMYK), not colours; save it as RGB"
        raise ImageError(msg)
    _check_stored(page, path)
    array = np.asarray(page.asarray())
    axes = page.keyframe.axes
    if array.ndim == 3 and axes.startswith("S"):
        array = np.moveaxis(array, 0, -1)  # planes one after the other
    if kind == tifffile.PHOTOMETRIC.PALETTE and page.keyframe.colormap is not None:
        return np.moveaxis(np.asarray(page.keyframe.colormap)[:, array], 0, -1)
    if kind == tifffile.PHOTOMETRIC.MINISWHITE:
        whole = np.issubdtype(array.dtype, np.integer)
        top = np.iinfo(array.dtype).max if whole else 1
        return ~array if array.dtype == bool else np.asarray(top, array.dtype) - array
    return array


def _check_stored(page: Any, path: Path) -> None:
    """Check that the file is as long as it says; the decoder would fill what is missing with black."""
    size = path.stat().st_size
    ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if not ends or max(ends) > size:
        msg = f"'{path}' cannot be read as an image: the file ends early"
        raise ImageError(msg)


def _check_size(samples: int, path: Path) -> None:
    if samples > LARGEST:
        msg = f"'{path}' has {samples:,} samples; at most {LARGEST:,} can be read. Crop it first."
        raise ImageError(msg)


def _png_depth(path: Path) -> int:
    with path.open("rb") as file:
        return file.read(25)[24]  # byte 24 of every PNG: bits per sample


def _png16(path: Path) -> np.ndarray:
    import png

    content = path.read_bytes()
    _check_inflated(png.Reader(bytes=content), path)
    width, height, rows, info = png.Reader(bytes=content).read()
    flat = np.vstack([np.asarray(row, dtype=np.uint16) for row in rows])
    return flat.reshape(height, width, info["planes"])


def _check_inflated(reader: Any, path: Path) -> None:
    """Check that no more is packed in the file than its size needs; pypng would unpack it all.

    Args:
        reader: A `png.Reader` of the file, before it has read anything.
        path: The file.

    Raises:
        ImageError: More is packed in it.
    """
    import png

    reader.preamble()
    whole = ((0, row, 1) for row in range(reader.height))
    passes = png.adam7_generate(reader.width, reader.height) if reader.interlace else [whole]
    lines = (-((x - reader.width) // step) for rows in passes for x, _, step in rows)
    left = sum(1 + pixels * reader.psize for pixels in lines)  # each begins with its filter
    inflater = zlib.decompressobj()
    for kind, data in reader.chunks():
        left -= len(inflater.decompress(data, left + 1)) if kind == b"IDAT" else 0
        if left < 0:
            what = f"more is packed in it than its {reader.width} x {reader.height} pixels"
            msg = f"'{path}' cannot be read as an image: {what}"
            raise ImageError(msg)
