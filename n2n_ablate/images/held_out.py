"""Checks that a confirmation sees other pictures than the trials did: by source, and by pixels.

Two crops of one picture, or a picture and its grey version, are one image to statistics, however
their files are called. What is compared are small patches: of each picture the same share of them,
chosen by what they hold and not by where they lie, so that a crop keeps its part of the choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from n2n_ablate import images
from n2n_ablate.errors import ImageError
from n2n_ablate.images import BUILTIN, Image

_SIDE = 8  # of a patch, in pixels
_SHARE = 32  # one patch of so many is kept
_LIVELY = 12  # different values in a patch; flatter ones look alike in different pictures
_SHARED = 3  # equal patches that do not come about by chance


def require_held_out(seen: Sequence[str], held_out: Sequence[str]) -> None:
    """Check the images of a confirmation against those of the trials, and against one another.

    Args:
        seen: Sources of the images that the trials see, see `images.collect`.
        held_out: Sources of the images of the confirmation.

    Raises:
        ImageError: One picture is among both, or twice among those of the confirmation.
    """
    known = [(picture, "the images of the trials") for picture in _pictures(seen)]
    for picture in _pictures(held_out):
        for other, where in known:
            if picture.same_as(other):
                msg = (
                    f"the confirmation's image '{picture.name}' shows the same picture as "
                    f"'{other.name}' among {where}. Confirm on pictures that no trial saw, each of "
                    "them once."
                )
                raise ImageError(msg)
        known.append((picture, "its other images"))


@dataclass(frozen=True, eq=False)
class _Picture:
    """What a picture is known by: its name, where it comes from, its pixels, and its patches."""

    name: str
    source: str
    digest: str
    patches: np.ndarray

    def same_as(self, other: _Picture) -> bool:
        if self.source == other.source or self.digest == other.digest:
            return True
        return len(np.intersect1d(self.patches, other.patches, assume_unique=True)) >= _SHARED


def _pictures(sources: Sequence[str]) -> Iterator[_Picture]:
    for source, image in _read(sources):
        yield _Picture(image.name, source, image.digest, picture_print(image))


def _read(sources: Sequence[str]) -> Iterator[tuple[str, Image]]:
    """Yield images one by one, each with where it comes from."""
    for source in sources:
        if source == BUILTIN or source.startswith(f"{BUILTIN}:"):
            for image in images.collect([source]):
                yield f"{BUILTIN}:{image.name}", image
        else:
            for file in images.files_of(Path(source)):
                yield str(file.resolve()), images.read(file)


def picture_print(image: Image) -> np.ndarray:
    """Return hashes of some of the patches of an image, sorted: equal patches give equal hashes.

    A grey version with the mean of the colours has the same hashes, up to rounding.
    """
    grey = np.rint(image.pixels[0].double().mean(dim=0).numpy() * 255).astype(np.uint64)
    if min(grey.shape) < _SIDE:
        return np.array([], dtype=np.uint64)  # too small to be a crop of anything
    hashes = _rolling(_rolling(grey, 0, 0x9E3779B97F4A7C15), 1, 0xC2B2AE3D27D4EB4F)
    mixed = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    rows, columns = np.nonzero((mixed >> np.uint64(32)) % np.uint64(_SHARE) == 0)
    windows = np.lib.stride_tricks.sliding_window_view(grey, (_SIDE, _SIDE))
    patches = np.sort(windows[rows, columns].reshape(len(rows), -1), axis=1)
    lively = 1 + np.count_nonzero(np.diff(patches, axis=1), axis=1) >= _LIVELY
    return np.unique(mixed[rows[lively], columns[lively]])


def _rolling(values: np.ndarray, axis: int, base: int) -> np.ndarray:
    """Return a hash of every run of `_SIDE` values along an axis."""
    length = values.shape[axis] - _SIDE + 1
    total = np.zeros(np.take(values, range(length), axis).shape, dtype=np.uint64)
    for place in range(_SIDE):
        part = np.take(values, range(place, place + length), axis)
        total = total * np.uint64(base) + part
    return total
