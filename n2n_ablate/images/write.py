"""Writes images: 8 or 16 bits, grey or colour."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
from torch import Tensor

from n2n_ablate.errors import ImageError
from n2n_ablate.files import make_folders, remove_leftovers, replacing

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp")


def write(path: Path, pixels: Tensor, *, bits: int = 8) -> None:
    """Write an image of shape (1, c, h, w); values outside [0, 1] are clipped.

    Args:
        path: The ending decides the format; 16 bits need .png or .tif.
        pixels: The image.
        bits: 8 or 16 per sample.

    Raises:
        ImageError: The format cannot hold the image, or the file cannot be written.
    """
    check_writable(path, bits=bits)
    array = pixels[0].clamp(0, 1).permute(1, 2, 0).double().numpy()
    top = 65535 if bits > 8 else 255
    samples = np.rint(array * top).astype(np.uint16 if bits > 8 else np.uint8)
    samples = samples[..., 0] if samples.shape[-1] == 1 else samples
    try:
        make_folders(path.parent)
        remove_leftovers(path.parent)
        with replacing(path) as made:
            _encode(made, samples)
    except OSError as error:
        msg = f"'{path}' cannot be written: {error.strerror or error}"
        raise ImageError(msg) from error


def _encode(path: Path, samples: np.ndarray) -> None:
    if path.suffix.lower() in (".tif", ".tiff"):
        import tifffile

        tifffile.imwrite(path, samples)
    elif samples.dtype == np.uint16:
        _write_png16(path, samples)
    else:
        from PIL import Image as Pillow

        Pillow.fromarray(samples).save(path)


def check_writable(path: Path, *, bits: int) -> None:
    """Check that an image can be written there, before any work is done for it.

    Raises:
        ImageError: The ending is unknown or cannot hold so many bits, or the folder is no folder.
    """
    suffix = path.suffix.lower()
    known = (".png", ".tif", ".tiff") if bits > 8 else SUFFIXES
    if suffix not in known:
        msg = (
            f"'{path}': images of {bits} bits can be written as {', '.join(known)}, got '{suffix}'"
        )
        raise ImageError(msg)
    try:
        why = _obstacle(path)
    except (OSError, ValueError) as error:  # no file can be called so; a folder of somebody else
        why = getattr(error, "strerror", None) or str(error)
    if why:
        msg = f"'{path}' cannot be written: {why}"
        raise ImageError(msg)


def _obstacle(path: Path) -> str:
    """Return what keeps a file from being written, empty if nothing does."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.stat()
    home = next(folder for folder in path.absolute().parents if folder.exists())
    if (path.exists() and not path.is_file()) or not home.is_dir():
        return "give a file in a folder"
    return "" if os.access(home, os.W_OK) else f"the folder '{home}' is read-only"


def _write_png16(path: Path, samples: np.ndarray) -> None:
    import png

    height, width = samples.shape[:2]
    writer = png.Writer(width, height, greyscale=samples.ndim == 2, bitdepth=16)
    with path.open("wb") as file:
        writer.write(file, samples.reshape(height, -1))
