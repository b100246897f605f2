"""PNG, JPEG, BMP, WebP, GIF and PNM files: one picture each, as a viewer shows it."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from n2n_ablate.errors import ImageError
from n2n_ablate.images.image import Metadata, Samples, check_size

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")  # Pillow knows others that run programs
_FRAMES = ("PNG", "WEBP", "GIF")
_TO_RGB = ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBa", "La")
_NAMED = (
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (4, b"ftypheic", "an HEIC file"),
    (4, b"ftypmif1", "an HEIF file"),
    (4, b"ftypavif", "an AVIF file"),
    (4, b"ftypcrx ", "a raw camera file"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL file"),
    (0, b"\xff\x0a", "a JPEG XL file"),
    (0, b"FUJIFILMCCD-RAW", "a raw camera file"),
    (0, b"IIRO", "a raw camera file"),
    (0, b"IIU\0", "a raw camera file"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR file"),
    (0, b"SIMPLE  =", "a FITS file"),
    (128, b"DICM", "a DICOM file"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"MATLAB 5.0", "a MATLAB file"),
    (0, b"ZISRAWFILE", "a CZI file of a microscope"),
    (0, b"\xda\xce\xbe\x0a", "an ND2 file of a microscope"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF file"),
    (0, b"%!PS", "a PostScript file"),
)
"""What a file is that cannot be read, by bytes at an offset: a name is more help than a decoder's reason."""


def read(path: Path) -> Samples:
    """Return the image of a file. Transparency is dropped, a noted orientation is applied."""
    from PIL import Image as Pillow
    from PIL import ImageOps, UnidentifiedImageError

    with path.open("rb") as file:
        start = file.read(160)
    for at, magic, what in _NAMED:
        if start[at : at + len(magic)] == magic:
            msg = f"'{path}' cannot be read as an image: it is {what}. Save it as TIFF or PNG."
            raise ImageError(msg)
    warnings.simplefilter("error", Pillow.DecompressionBombWarning)
    try:
        opened = Pillow.open(path, formats=_FORMATS)
    except UnidentifiedImageError as error:
        what = "it is damaged, or neither PNG, JPEG, TIFF, BMP, WebP, GIF, PNM nor NumPy"
        msg = f"'{path}' cannot be read as an image: {what}"
        raise ImageError(msg) from error
    with opened as image:
        check_size(image.width * image.height * len(image.getbands()), str(path))
        frames = int(getattr(image, "n_frames", 1)) if image.format in _FRAMES else 1
        if frames > 1:
            msg = f"'{path}' is animated, with {frames} frames; save the one that you want"
            raise ImageError(msg)
        dpi = image.info.get("dpi")
        resolution = (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 1 else None
        about = Metadata(resolution, bytes(image.info.get("icc_profile") or b""))
        bits = start[24]  # of a sample, in every PNG
        if image.format == "PNG" and bits == 16 and image.mode in ("RGB", "RGBA", "LA"):
            return Samples(_png16(path), metadata=about)  # Pillow would keep 8 of the 16 bits
        image.load()
        array = _array(ImageOps.exif_transpose(image) or image, path)
    return Samples(array, metadata=about)


def _array(image: Any, path: Path) -> np.ndarray:
    if image.mode in _TO_RGB:
        image = image.convert("RGB")
    array = np.asarray(image)
    if image.mode.startswith("I"):  # Pillow keeps 16 bits in 32
        if array.size and (array.min() < 0 or array.max() > 65535):
            msg = f"'{path}' holds values from {array.min()} to {array.max()}; use 8 or 16 bits"
            raise ImageError(msg)
        return array.astype(np.uint16)
    return _opaque(array)


def _opaque(array: np.ndarray) -> np.ndarray:
    """Return colours without transparency, which these formats never multiply in."""
    if array.ndim == 3 and array.shape[-1] in (2, 4):
        array = array[..., :-1]
    return array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array


def _png16(path: Path) -> np.ndarray:
    import png

    content = path.read_bytes()
    _check_inflated(png.Reader(bytes=content), path)
    width, height, rows, info = png.Reader(bytes=content).read()
    flat = np.vstack([np.asarray(row, dtype=np.uint16) for row in rows])
    return _opaque(flat.reshape(height, width, info["planes"]))


def _check_inflated(reader: Any, path: Path) -> None:
    """Check that no more is packed in the file than its size needs; pypng would unpack it all.

    `reader`: a `png.Reader` of the file, before it has read anything; `path`: the file.
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
