"""Reads and writes images; nothing else does. Outside: files of 8 or 16 bits; inside: Image records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from n2n_ablate.errors import ImageError, nearest, no_file
from n2n_ablate.images.decode import decode
from n2n_ablate.images.pixels import to_pixels
from n2n_ablate.images.shipped import COLOUR, GREY
from n2n_ablate.images.write import SUFFIXES, check_writable, write

__all__ = [
    "BUILTIN",
    "SUFFIXES",
    "Image",
    "builtin",
    "builtin_names",
    "check_writable",
    "collect",
    "files_of",
    "pages",
    "read",
    "to_pixels",
    "write",
]

BUILTIN = "builtin"
_LONGEST_NAME = 100

_NO_BUILTIN = """the built-in images come with scikit-image, which is not installed. \
Use your own with --images FOLDER, or: pip install scikit-image"""


@dataclass(frozen=True, eq=False)
class Image:
    """One clean (or, for `denoise`, noisy) image.

    Attributes:
        name: Short and unique in a study.
        pixels: Float32, shape (1, c, h, w), 0 for black and 1 for white.
        bits: Bits per sample of the file it came from.
    """

    name: str
    pixels: Tensor
    bits: int = 8

    @cached_property  # every fit asks for it several times
    def digest(self) -> str:
        """Hash of shape and pixels: the identity of the image, whatever its file is called."""
        array = np.ascontiguousarray(self.pixels.numpy())
        return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()[:16]

    def cropped(self, size: int) -> Image:
        """Return the centre crop of at most `size` x `size` pixels; 0 keeps all."""
        h, w = self.pixels.shape[-2:]
        if not size or (h <= size and w <= size):
            return self
        top, left = max(0, (h - size) // 2), max(0, (w - size) // 2)
        pixels = self.pixels[..., top : top + min(size, h), left : left + min(size, w)]
        return Image(self.name, pixels.contiguous(), self.bits)

    def grey(self) -> Image:
        """Return the image with one channel, the mean of its colours."""
        return Image(self.name, self.pixels.mean(dim=1, keepdim=True), self.bits)


def builtin_names() -> list[str]:
    """Return the names of the images that make the built-in set, all in colour."""
    return list(COLOUR)


def builtin(names: Sequence[str] = ()) -> list[Image]:
    """Return built-in images by name: the colour ones if no name is given, the others by `grey`.

    Raises:
        ImageError: A name is unknown.
    """
    try:
        from skimage import data
    except ModuleNotFoundError as error:
        raise ImageError(_NO_BUILTIN) from error
    known = COLOUR | GREY
    found = []
    for name in GREY if list(names) == ["grey"] else names or COLOUR:
        if name not in known:
            msg = f"no built-in image is called '{name}'. {nearest(name, [*known, 'grey'])}"
            raise ImageError(msg)
        array = getattr(data, known[name])()
        found.append(Image(name, to_pixels(array[0] if isinstance(array, tuple) else array, name)))
    return found


def collect(sources: Iterable[str]) -> list[Image]:
    """Return the images of folders, files, `builtin`, `builtin:grey` or `builtin:NAME`, in order.

    Raises:
        ImageError: Nothing is found, a file cannot be read, or two images share a name.
    """
    found: list[Image] = []
    for source in sources:
        if source == BUILTIN:
            found += builtin()
        elif source.startswith(f"{BUILTIN}:"):
            found += builtin([source.removeprefix(f"{BUILTIN}:")])
        else:
            found += [image for file in files_of(Path(source)) for image in pages(file)]
    if not found:
        msg = f"no images given. Name a folder, files or '{BUILTIN}'."
        raise ImageError(msg)
    names = [image.name for image in found]
    if twice := {name for name in names if names.count(name) > 1}:
        msg = f"two images are called '{min(twice)}'. Rename one: results are told apart by name."
        raise ImageError(msg)
    return found


def files_of(path: Path) -> list[Path]:
    """Return a file, or the image files of a folder in the order of their names.

    Raises:
        ImageError: There is no such file, it is none, or no image is in the folder.
    """
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            msg = f"'{path}' {no_file(path)}. Name a folder, a file or '{BUILTIN}'."
            raise ImageError(msg)
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    except (OSError, ValueError) as error:
        msg = f"'{path}' cannot be read: {getattr(error, 'strerror', '') or error}"
        raise ImageError(msg) from error
    if not files:
        msg = f"no images in '{path}'. Known endings: {', '.join(SUFFIXES)}."
        raise ImageError(msg)
    return files


def read(path: Path) -> Image:
    """Read a file with one image: grey or colour, 8 or 16 bits or float; transparency is dropped.

    Raises:
        ImageError: The file is missing, damaged, not an image, of a form that cannot be used, or
            has several pages.
    """
    found = pages(path)
    if len(found) > 1:
        msg = f"'{path}' holds {len(found)} pages; save the one that you want as a file of its own"
        raise ImageError(msg)
    return found[0]


def pages(path: Path) -> list[Image]:
    """Read every page of a file as an image. Those of a file with several are called `name-p1`...

    Raises:
        ImageError: See `read`.
    """
    name = path.stem
    if not name.isprintable() or not name.strip(". ") or len(name) > _LONGEST_NAME:
        msg = (
            f"'{path}': results are named after images; rename it to something short and printable"
        )
        raise ImageError(msg)
    found = decode(path)
    several = len(found) > 1
    return [
        Image(
            f"{name}-p{number}" if several else name,
            to_pixels(array, f"{path}, page {number}" if several else str(path)),
            8 if array.dtype in (np.uint8, np.bool_) else 16,
        )
        for number, array in enumerate(found, 1)
    ]
