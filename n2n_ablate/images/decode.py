"""From a file to samples. What a file holds decides, not what it is called."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from n2n_ablate.errors import ImageError, missing_package, no_file
from n2n_ablate.images import arrays, raster, tiff
from n2n_ablate.images.image import Samples, as_samples


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
        images = arrays.split(
            arrays.loaded(io.BytesIO(content), len(content), name), name, channels
        )
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
    if start.startswith((arrays.NPY, arrays.NPZ)):
        return arrays.read(path, channels)
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
