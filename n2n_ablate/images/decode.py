"""From a file to samples. What a file holds decides, not what it is called; nothing in it is run."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from n2n_ablate.errors import ImageError, missing_package, no_file
from n2n_ablate.images import raster, tiff
from n2n_ablate.images.image import Samples, as_samples, check_size, pick_channels


def decode(path: Path, channels: Sequence[int] = ()) -> list[Samples]:
    """Return the images of a file: pages of a TIFF file, arrays of a NumPy file, else one.

    `path`: the file; `channels`: counted from 1: which to take where they are no colours, each as an image.
    """
    with explained(path):
        return [
            replace(samples, array=as_samples(samples.array))
            for samples in _decoded(path, channels)
        ]


def from_bytes(content: bytes, name: str, channels: Sequence[int] = ()) -> list[Samples]:
    """Return the images of the content of an `.npy` file, e.g. from standard input."""
    with explained(name):
        images = split(_loaded(io.BytesIO(content), len(content), name), name, channels)
        return [replace(samples, array=as_samples(samples.array)) for samples in images]


def _decoded(path: Path, channels: Sequence[int]) -> list[Samples]:
    if not path.is_file():
        msg = f"'{path}' {no_file(path)}."
        raise ImageError(msg)
    with path.open("rb") as file:
        start = file.read(10)
    if not start:
        msg = f"'{path}' cannot be read as an image: it is empty"
        raise ImageError(msg)
    if start[:4] in tiff.MAGIC:
        if start[8:10] == b"CR":
            msg = f"'{path}' is a raw camera file (CR2); develop it to RGB first"
            raise ImageError(msg)
        return tiff.read(path, channels)
    if start.startswith((NPY, NPZ)):
        return read_arrays(path, channels)
    return [raster.read(path)]


@contextmanager
def explained(path: Path | str) -> Iterator[None]:
    """Turn whatever a decoder raises into one line that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no reason to refuse a photograph
            yield
    except ImageError:
        raise
    except ModuleNotFoundError as error:
        if missing_package(error):  # one of ours: the command line says what to install
            raise
        msg = f"'{path}' cannot be read as an image: {error}"
        raise ImageError(msg) from error
    except MemoryError as error:
        msg = f"'{path}' cannot be read as an image: there is not enough memory"
        raise ImageError(msg) from error
    except Exception as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        hint = ": pip install imagecodecs" if "requires the 'imagecodecs'" in reason else ""
        msg = f"'{path}' cannot be read as an image: {reason}{hint}"
        raise ImageError(msg) from error


NPY, NPZ = b"\x93NUMPY", b"PK\x03\x04"


def read_arrays(path: Path, channels: Sequence[int] = ()) -> list[Samples]:
    """Return the images of an `.npy` or `.npz` file.

    (h, w) and (h, w, 3) are one image; (n, h, w), (n, h, w, 1) and (n, h, w, 3) are n of them.
    """
    with path.open("rb") as file:
        if file.read(4) != NPZ:
            file.seek(0)
            return split(_loaded(file, path.stat().st_size, str(path)), str(path), channels)
    images: list[Samples] = []
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if not members:
            msg = f"'{path}' cannot be read as an image: it is an archive without NumPy arrays"
            raise ImageError(msg)
        for info in members:
            key = info.filename.removesuffix(".npy")
            name = f"{path}, array {key}"
            with archive.open(info) as stream:
                parts = split(_loaded(stream, info.file_size, name), name, channels)
            images += [
                Samples(part.array, label="-".join(filter(None, (key, part.label))))
                for part in parts
            ]
    return images if len(images) > 1 else [Samples(images[0].array)]


def split(array: np.ndarray, name: str, channels: Sequence[int] = ()) -> list[Samples]:
    """Return an array as images."""
    if array.dtype.kind not in "buif":
        msg = f"'{name}' holds samples of type {array.dtype}; use integers or floats"
        raise ImageError(msg)
    shape = array.shape
    if array.ndim == 3 and shape[0] == 3 and shape[-1] != 3:
        msg = (
            f"'{name}' has shape {shape}: one colour image or three grey ones? Save it as (h, w, 3) "
            "or as (3, h, w, 1)"
        )
        raise ImageError(msg)
    if 0 in shape or not 2 <= array.ndim <= 4:
        msg = f"'{name}' has shape {shape}, expected (h, w), (h, w, 3), (n, h, w) or (n, h, w, 3)"
        raise ImageError(msg)
    several = array.ndim == 4 or (array.ndim == 3 and shape[-1] > 4)
    planes = list(array) if several else [array]
    images: list[Samples] = []
    for number, plane in enumerate(planes, 1):
        label = f"p{number}" if len(planes) > 1 else ""
        channel_images = [("", plane)]
        if plane.ndim == 3 and plane.shape[-1] != 3:
            grey = plane.shape[-1] == 1
            channel_images = [("", plane[..., 0])] if grey else pick_channels(plane, channels, name)
        images += [
            Samples(image, label="-".join(filter(None, (label, channel))))
            for channel, image in channel_images
        ]
    return images


def _loaded(file: IO[bytes], size: int, name: str) -> np.ndarray:
    """Load one array; its header is read first, so that nothing enormous is made room for."""
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    headers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in headers:
        msg = f"'{name}' cannot be read as an image: NumPy format {version} is not known"
        raise ImageError(msg)
    shape, columns_first, dtype = headers[version](file)
    check_size(math.prod(shape), name)
    if dtype.hasobject:
        msg = f"'{name}' holds Python objects, which are not read; save numbers"
        raise ImageError(msg)
    wanted = math.prod(shape) * dtype.itemsize
    content = file.read(wanted + 1)
    if len(content) < wanted or wanted > size:
        what = "the file ends early" if len(content) < wanted else "it is larger than its file"
        msg = f"'{name}' cannot be read as an image: {what}"
        raise ImageError(msg)
    flat = np.frombuffer(content[:wanted], dtype=dtype)
    return flat.reshape(shape, order="F" if columns_first else "C")
