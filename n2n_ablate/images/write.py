"""Writes images with the type, range and metadata that they came with; a file is whole or not there."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from torch import Tensor

from n2n_ablate.errors import ImageError, reasoned
from n2n_ablate.files import make_folders, remove_leftovers, replacing
from n2n_ablate.images.image import Image, Metadata, ValueRange

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp")
"""Endings of formats that hold 8 bits per sample."""
_ANY_TYPE = (".tif", ".tiff", ".npy")
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")


def write(path: Path, pixels: Tensor, *, bits: int = 8) -> None:
    """Write an image of shape (1, c, h, w); values outside [0, 1] are clipped.

    `path`: the ending decides the format; 16 bits need .png or .tif; `bits`: 8 or 16 per sample.
    """
    levels = ValueRange(0, 65535, "uint16") if bits > 8 else ValueRange()
    write_images(path, [Image(path.stem, pixels, levels)], overwrite=True)


def write_images(path: Path, images: Sequence[Image], *, overwrite: bool = False) -> None:
    """Write one image, or the images of a stack, as samples of their type.

    `images`: of one range; several need .tif or .npy; `overwrite`: replace a file that is there.
    """
    check_writable(path, images[0].range.dtype, count=len(images), overwrite=overwrite)
    arrays = []
    for image in images:
        array = image.range.to_samples(image.pixels[0].permute(1, 2, 0).numpy())
        arrays.append(array[..., 0] if array.shape[-1] == 1 else array)
    metadata = images[0].metadata
    if len(arrays) > 1 and len({array.shape for array in arrays}) == 1:
        arrays = [np.stack(arrays)]
    save = _writer(path.suffix.lower(), arrays, metadata, stacked=len(images) > 1)
    with reasoned(ImageError, f"'{path}' cannot be written"):
        make_folders(path.parent)
        remove_leftovers(path.parent)
        with replacing(path) as made, made.open("r+b") as file:
            save(file)


def check_writable(
    path: Path, dtype: str = "uint8", *, count: int = 1, overwrite: bool = True
) -> None:
    """Check that images can be written there, before any work is done for them."""
    suffix = path.suffix.lower()
    known: tuple[str, ...] = _ANY_TYPE
    if dtype == "uint16":
        known = (".png", *_ANY_TYPE)
    elif dtype == "uint8":
        known = (*SUFFIXES, ".npy")
    bits = f"{np.dtype(dtype).itemsize * 8} bits"
    what = bits if dtype in ("uint8", "uint16") else f"type {dtype}"
    if suffix not in known:
        msg = f"'{path}': images of {what} can be written as {', '.join(known)}, got '{suffix}'"
        raise ImageError(msg)
    if count > 1 and suffix not in _ANY_TYPE:
        msg = (
            f"'{path}' holds one image, and there are {count}. Write them as "
            f"{' or '.join(_ANY_TYPE[::2])}, or into a folder with --out-dir"
        )
        raise ImageError(msg)
    try:
        there, why = path.exists(), _obstacle(path)
    except (OSError, ValueError) as error:  # no file can be called so; a folder of somebody else
        there, why = False, getattr(error, "strerror", None) or str(error)
    if why:
        msg = f"'{path}' cannot be written: {why}"
        raise ImageError(msg)
    if there and not overwrite:
        msg = f"'{path}' exists already. Give another name, or --overwrite to replace it"
        raise ImageError(msg)


def _obstacle(path: Path) -> str:
    """Return what keeps a file from being written, empty if nothing does."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.stat()
    home = next(folder for folder in path.absolute().parents if folder.exists())
    if (path.exists() and not path.is_file()) or not home.is_dir():
        return "give a file in a folder"
    return "" if os.access(home, os.W_OK) else f"the folder '{home}' is read-only"


def _writer(
    suffix: str, arrays: list[np.ndarray], metadata: Metadata, *, stacked: bool
) -> Callable[[BinaryIO], None]:
    if suffix == ".npy":
        return lambda file: np.save(file, arrays[0], allow_pickle=False)
    if suffix in (".tif", ".tiff"):
        return lambda file: _write_tiff(file, arrays, metadata, stacked=stacked)
    if arrays[0].dtype == np.uint16:
        return lambda file: _write_png16(file, arrays[0], metadata)
    return lambda file: _write_pillow(file, arrays[0], metadata, suffix)


def _write_tiff(
    file: BinaryIO, arrays: list[np.ndarray], metadata: Metadata, *, stacked: bool
) -> None:
    import tifffile

    steps = metadata.steps if stacked else ()
    for array in arrays:
        colour = array.ndim > 2 and array.shape[-1] == 3 and (not stacked or array.ndim > 3)
        inner = "YXS" if colour else "YX"
        options: dict[str, Any] = {"photometric": "rgb" if colour else "minisblack"}
        if stacked and len(arrays) == 1 and int(np.prod(steps)) == len(array) and steps:
            array = array.reshape(*steps, *array.shape[1:])
            options["metadata"] = {"axes": metadata.axes + inner, **metadata.about}
            imagej = metadata.dialect == "imagej" and array.dtype.name in _IMAGEJ_TYPES
            options |= (
                {"imagej": True} if imagej else {"ome": True} if metadata.dialect == "ome" else {}
            )
        if metadata.resolution:
            options |= {"resolution": metadata.resolution, "resolutionunit": "INCH"}
        if metadata.icc:
            options["iccprofile"] = metadata.icc
        tifffile.imwrite(file, array, **options)


def _write_pillow(file: BinaryIO, array: np.ndarray, metadata: Metadata, suffix: str) -> None:
    from PIL import Image as Pillow

    options: dict[str, Any] = {".webp": {"lossless": True}}.get(suffix, {})
    options |= {"quality": 95} if suffix in (".jpg", ".jpeg") else {}
    options |= {"dpi": metadata.resolution} if metadata.resolution else {}
    options |= {"icc_profile": metadata.icc} if metadata.icc else {}
    Pillow.fromarray(array).save(file, Pillow.registered_extensions()[suffix], **options)


def _write_png16(file: BinaryIO, samples: np.ndarray, metadata: Metadata) -> None:
    import png

    height, width = samples.shape[:2]
    stream = io.BytesIO()
    writer = png.Writer(width, height, greyscale=samples.ndim == 2, bitdepth=16)
    writer.write(stream, samples.reshape(height, -1))
    chunks = list(png.Reader(bytes=stream.getvalue()).chunks())
    more = []
    if metadata.icc:
        more.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.resolution:
        x, y = (round(value / 0.0254) for value in metadata.resolution)
        more.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    png.write_chunks(file, [chunks[0], *more, *chunks[1:]])
