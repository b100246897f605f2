"""Reads and writes images; nothing else does. Outside: files of 8 or 16 bits; inside: Image records."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.errors import ImageError, nearest
from n2n_ablate.shipped_images import COLOUR, GREY

BUILTIN = "builtin"
SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp")
_LARGEST = 400_000_000  # samples; larger files would fill the memory of most machines

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
            found += [read(file) for file in files_of(Path(source))]
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
        ImageError: There is no such file, or no image in the folder.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        msg = f"'{path}' does not exist. Name a folder, a file or '{BUILTIN}'."
        raise ImageError(msg)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        msg = f"no images in '{path}'. Known endings: {', '.join(SUFFIXES)}."
        raise ImageError(msg)
    return files


def read(path: Path) -> Image:
    """Read one image file: grey or colour, 8 or 16 bits or float; transparency is dropped.

    Raises:
        ImageError: The file is missing, damaged, not an image, or of a form that cannot be used.
    """
    if not path.is_file():
        msg = f"'{path}' does not exist."
        raise ImageError(msg)
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no reason to refuse a photograph
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            array = _decode(path)
    except ImageError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        msg = f"'{path}' cannot be read as an image: {reason}"
        raise ImageError(msg) from error
    return Image(path.stem, to_pixels(array, str(path)), _bits(array.dtype))


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
    suffix = path.suffix.lower()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix in (".tif", ".tiff"):
            import tifffile

            tifffile.imwrite(path, samples)
        elif bits > 8:
            _write_png16(path, samples)
        else:
            from PIL import Image as Pillow

            Pillow.fromarray(samples).save(path)
    except OSError as error:
        msg = f"'{path}' cannot be written: {error.strerror or error}"
        raise ImageError(msg) from error


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
    if path.is_dir() or (path.parent.exists() and not path.parent.is_dir()):
        msg = f"'{path}' cannot be written: give a file in a folder"
        raise ImageError(msg)


def to_pixels(array: np.ndarray, name: str) -> Tensor:
    """Convert (h, w) or (h, w, c) samples of any usual type to (1, c, h, w) in [0, 1].

    Raises:
        ImageError: The shape or type is no image, or values are not finite.
    """
    if array.ndim == 3 and array.shape[-1] in (2, 4):
        array = array[..., :-1]  # transparency says nothing about noise
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        msg = f"'{name}' has shape {array.shape}, expected (h, w), (h, w, 3) or (h, w, 4)"
        raise ImageError(msg)
    if array.dtype == bool:
        values = array.astype(np.float32)
    elif array.dtype in (np.uint8, np.uint16, np.uint32):
        values = (array / np.iinfo(array.dtype).max).astype(np.float32)
    elif np.issubdtype(array.dtype, np.floating):
        values = array.astype(np.float32)
        if not np.isfinite(values).all():
            msg = f"'{name}' holds values that are not finite (NaN or infinity)"
            raise ImageError(msg)
        if values.max() > 2 or values.min() < -1:
            low, high = values.min(), values.max()
            msg = f"'{name}' holds float values from {low:g} to {high:g}; scale them to 0 to 1"
            raise ImageError(msg)
    else:
        msg = f"'{name}' holds samples of type {array.dtype}; use 8 or 16 bits, or float 0 to 1"
        raise ImageError(msg)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]


def _decode(path: Path) -> np.ndarray:
    if path.suffix.lower() in (".tif", ".tiff"):
        import tifffile

        with tifffile.TiffFile(path) as file:
            _check_size(int(np.prod(file.series[0].shape)), path)
            if len(file.pages) > 1:
                msg = f"'{path}' holds {len(file.pages)} pages; save them as files of their own"
                raise ImageError(msg)
            return np.asarray(file.series[0].asarray())
    from PIL import Image as Pillow

    with Pillow.open(path) as image:
        _check_size(image.width * image.height * len(image.getbands()), path)
        if image.format == "PNG" and _png_depth(path) == 16 and image.mode in ("RGB", "RGBA", "LA"):
            return _read_png16(path)  # Pillow would quietly keep 8 of the 16 bits
        if image.mode in ("P", "CMYK", "YCbCr", "LAB", "HSV"):
            return np.asarray(image.convert("RGB"))
        if image.mode in ("I", "I;16", "I;16B"):
            return np.asarray(image).astype(np.uint16)
        return np.asarray(image)


def _check_size(samples: int, path: Path) -> None:
    if samples > _LARGEST:
        msg = f"'{path}' has {samples:,} samples; at most {_LARGEST:,} can be read. Crop it first."
        raise ImageError(msg)


def _png_depth(path: Path) -> int:
    with path.open("rb") as file:
        return file.read(25)[24]  # byte 24 of every PNG: bits per sample


def _read_png16(path: Path) -> np.ndarray:
    import png

    width, height, rows, info = png.Reader(bytes=path.read_bytes()).read()
    flat = np.vstack([np.asarray(row, dtype=np.uint16) for row in rows])
    return flat.reshape(height, width, info["planes"])


def _write_png16(path: Path, samples: np.ndarray) -> None:
    import png

    height, width = samples.shape[:2]
    writer = png.Writer(width, height, greyscale=samples.ndim == 2, bitdepth=16)
    with path.open("wb") as file:
        writer.write(file, samples.reshape(height, -1))


def _bits(dtype: np.dtype) -> int:
    return 8 if dtype in (np.uint8, np.bool_) else 16
