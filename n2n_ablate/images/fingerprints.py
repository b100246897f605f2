"""What a picture is known by, however it was saved: a digest, some of its patches, a small version.

- Equal patches show that two pictures share pixels, wherever they were cropped. Of each picture the
  same share of patches is kept, chosen by what they hold and not by where they lie, so that a crop
  keeps its part of the choice. A colour picture also has the patches of its grey versions.
- Small versions show that two whole pictures are one, though no pixel is equal: saved again with
  losses, resized, turned, mirrored, made lighter or darker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from n2n_ablate.images import Image

_SIDE = 8  # of a patch, in pixels
_SHARE = 32  # one patch of so many is kept
_LARGEST = 2048  # side of the centre whose patches are looked at: a photograph costs a second then
_LIVELY = 12  # different values in a patch; flatter ones look alike in different pictures
_GREYS = (
    (1 / 3, 1 / 3, 1 / 3),
    (19595 / 65536, 38470 / 65536, 7471 / 65536),  # ITU-R 601 as Pillow and OpenCV have it
    (0.2125, 0.7154, 0.0721),  # ITU-R 709 as scikit-image has it
)

_SMALL = 32  # side of the small version
_SCALE = 2.0  # sd of the blur that is taken off it: light and shadow say little about a picture
_PARTS = 4  # a small version is compared in so many parts along each side
_VISIBLE = (
    1.0  # root mean square of a part in grey levels of 255; in a fainter one is nothing to see
)
_FEWEST_PARTS = 4
_WHOLE, _PART = 0.6, 0.65  # correlation of whole versions, and of nine parts of ten at least


@dataclass(frozen=True, eq=False)
class Print:
    """What a picture is known by.

    Attributes:
        name: Of the image.
        digest: Of its pixels.
        patches: Hashes of some patches, sorted, each once.
        small: Its small version, blurred light and shadow taken off; shape (32, 32).
        grey: Whether it has no colours.
    """

    name: str
    digest: str
    patches: np.ndarray
    small: np.ndarray
    grey: bool


def print_of(image: Image, *, versions: bool = True) -> Print:
    """Return what an image is known by.

    Args:
        image: The image, whole.
        versions: Keep patches of every grey version of a colour image, and not of its mean alone.
            They are of use where there are grey images to compare with, and take twice as long.
    """
    colours = np.rint(image.pixels[0].numpy() * np.float32(255))
    grey = bool((colours == colours[:1]).all())
    centre = colours[(slice(None), *map(_centre, colours.shape[1:]))]
    weights = [(1 / len(colours),) * len(colours)] if grey or not versions else _GREYS
    found = [_patches(np.tensordot(each, centre.astype(float), 1)) for each in weights]
    patches = np.unique(np.concatenate(found))
    return Print(image.name, image.digest, patches, _small(colours.mean(axis=0)), grey)


def _centre(length: int) -> slice:
    start = max(0, (length - _LARGEST) // 2)
    return slice(start, start + _LARGEST)


def alike(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two small versions show one picture, turned or mirrored or as it is.

    They have to agree in nearly every part in which either has something to see: a shared frame,
    as of pictures from one microscope, is not enough.
    """
    return any(_agree(first, turned) for turned in turns(second))


def turns(small: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the eight ways to turn and mirror squares; shape (..., n, n)."""
    for quarter in range(4):
        turned = np.rot90(small, quarter, axes=(-2, -1))
        yield turned
        yield turned[..., ::-1]


def candidates(small: np.ndarray) -> np.ndarray:
    """Return which pairs of small versions, (p, n, n), are worth a closer look; shape (p, p).

    It is a product of matrices, where `alike` is many small steps.
    """
    length = np.sqrt((small**2).sum(axis=(1, 2), keepdims=True))
    unit = small / np.maximum(length, 1e-9)
    flat = unit.reshape(len(unit), -1)
    best = np.max([flat @ turned.reshape(flat.shape).T for turned in turns(unit)], axis=0)
    return np.asarray(best >= _WHOLE)


def _agree(first: np.ndarray, second: np.ndarray) -> bool:
    parts = (_PARTS, _SMALL // _PARTS, _PARTS, _SMALL // _PARTS)
    one, other = first.reshape(parts), second.reshape(parts)
    power = [np.square(each).sum(axis=(1, 3)) for each in (one, other)]
    seen = np.maximum(*power) > (_VISIBLE * _SMALL / _PARTS) ** 2
    if seen.sum() < _FEWEST_PARTS:
        return False
    together = (one * other).sum(axis=(1, 3)) / np.sqrt(power[0] * power[1] + 1e-9)
    return bool(np.quantile(together[seen], 0.1) >= _PART)


def _small(grey: np.ndarray) -> np.ndarray:
    mean = _areas(grey.shape[0]) @ grey @ _areas(grey.shape[1]).T
    return mean - ndimage.gaussian_filter(mean, _SCALE, mode="nearest")


def _areas(length: int) -> np.ndarray:
    """Return the weights that average `length` pixels to 32; shape (32, length)."""
    edges = np.linspace(0, length, _SMALL + 1)
    pixels = np.arange(length)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    return np.maximum(0, high - low) * _SMALL / length


def _patches(grey: np.ndarray) -> np.ndarray:
    """Return hashes of some of the patches of a grey image: equal patches give equal hashes."""
    levels = np.floor(grey + 0.5).astype(np.uint64)  # halves go up, as in Pillow
    if min(levels.shape) < _SIDE:
        return np.array([], dtype=np.uint64)  # too small to be a crop of anything
    hashes = _rolling(_rolling(levels, 0x9E3779B97F4A7C15).T, 0xC2B2AE3D27D4EB4F).T
    mixed = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    rows, columns = np.nonzero((mixed >> np.uint64(32)) % np.uint64(_SHARE) == 0)
    windows = np.lib.stride_tricks.sliding_window_view(levels.astype(np.uint8), (_SIDE, _SIDE))
    patches = np.sort(windows[rows, columns].reshape(len(rows), _SIDE**2), axis=1)
    lively = 1 + np.count_nonzero(np.diff(patches, axis=1), axis=1) >= _LIVELY
    return np.unique(mixed[rows[lively], columns[lively]])


def _rolling(values: np.ndarray, base: int) -> np.ndarray:
    """Return a hash of every run of `_SIDE` values down the columns."""
    total, length, factor = values, 1, base
    while length < _SIDE:  # two runs side by side make one of twice the length
        total = total[:-length] * np.uint64(factor) + total[length:]
        length, factor = 2 * length, factor * factor % 2**64
    return total
