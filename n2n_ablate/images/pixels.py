"""From samples to pixels: the range that a study uses, and the robust one that `denoise` uses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.errors import ImageError
from n2n_ablate.images.image import Samples, ValueRange, as_samples

_TAILS = (0.001, 0.999)  # shares of the samples below and above which a range need not reach
_FEWEST = 8  # integers have to use one part of so many of their range


def to_pixels(array: np.ndarray, name: str) -> Tensor:
    """Convert (h, w) or (h, w, c) samples of any usual type to (1, c, h, w) in [0, 1]."""
    if array.ndim == 3 and array.shape[-1] in (2, 4):
        array = array[..., :-1]  # transparency says nothing about noise
    samples = Samples(as_samples(array))
    return scaled(samples, range_of_type([samples], name), name)


def scaled(samples: Samples, levels: ValueRange, name: str) -> Tensor:
    """Return samples as pixels, float32 (1, c, h, w)."""
    array = samples.array[..., None] if samples.array.ndim == 2 else samples.array
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        msg = f"'{name}' has shape {array.shape}, expected (h, w), (h, w, 3) or (h, w, 4)"
        raise ImageError(msg)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        msg = f"'{name}' holds values that are not finite (NaN or infinity)"
        raise ImageError(msg)
    return torch.from_numpy(np.ascontiguousarray(levels.to_pixels(array).transpose(2, 0, 1)))[None]


def range_of_type(
    images: Sequence[Samples], name: str, *, white: float = 0, strict: bool = False
) -> ValueRange:
    """Return the range of a study's images: from 0 to the white of their type, or to `white`.

    `images`: those of one file; `name`: of the file; `white`: the sample that is white, 0 for that of the
    type; `strict`: refuse integers that use less than an eighth of their range: 12 bits in 16, say, would
    pass for a dark picture.
    """
    kind = images[0].array.dtype
    low, high = _limits(images, name)
    if not white and kind.kind in "iu" and low < 0:
        msg = (
            f"'{name}' holds samples of type {kind} from {low:g} to {high:g}; a study needs values "
            "from 0 on. Add an offset first, or use denoise, which takes any range"
        )
        raise ImageError(msg)
    top = white or _white_of(images, kind, name, low, high)
    if white and (high > white or low < 0):
        msg = f"'{name}' holds values from {low:g} to {high:g}, outside 0 to --white {white:g}"
        raise ImageError(msg)
    if strict and not white and kind.kind in "iu" and kind.itemsize > 1 and high * _FEWEST < top:
        guess = 2 ** max(1, int(high).bit_length()) - 1
        msg = (
            f"'{name}' has {kind.itemsize * 8} bits per sample and no value above {high:g}, less than an "
            f"eighth of the range. Say which value is white, e.g. --white {guess}"
        )
        raise ImageError(msg)
    return ValueRange(0.0, float(top), kind.name)


def robust_range(images: Sequence[Samples], name: str) -> ValueRange:
    """Return the range that holds nearly all samples of a file: one for all images of a stack.

    Its ends are samples, so that of a*x + b they are a times and b above those of x.
    """
    kind = images[0].array.dtype
    low, high = _limits(images, name)
    ends = []
    every = np.concatenate([samples.array.ravel() for samples in images])
    for share in _TAILS:
        rank = round(share * (every.size - 1))
        ends.append(float(np.partition(every, rank)[rank]))
    if ends[0] < ends[1]:
        low, high = ends
    scale = high - low if high > low else 1.0  # a flat image stays flat whatever it is divided by
    return ValueRange(low, scale, kind.name)


def _limits(images: Sequence[Samples], name: str) -> tuple[float, float]:
    kind = images[0].array.dtype
    if kind.kind not in "uif":
        msg = f"'{name}' holds samples of type {kind}; use integers or floats"
        raise ImageError(msg)
    if any(samples.array.size == 0 for samples in images):
        msg = f"'{name}' has shape {images[0].array.shape}, expected (h, w), (h, w, 3) or (h, w, 4)"
        raise ImageError(msg)
    if kind.kind == "f" and not all(np.isfinite(samples.array).all() for samples in images):
        msg = f"'{name}' holds values that are not finite (NaN or infinity)"
        raise ImageError(msg)
    low = min(float(samples.array.min()) for samples in images)
    return low, max(float(samples.array.max()) for samples in images)


def _white_of(
    images: Sequence[Samples], kind: np.dtype, name: str, low: float, high: float
) -> float:
    if images[0].white is not None:
        return images[0].white
    if kind.kind in "iu":
        return float(np.iinfo(kind).max)
    if high > 2 or low < -1:
        msg = (
            f"'{name}' holds float values from {low:g} to {high:g}; scale them to 0 to 1, or say "
            "which value is white with --white"
        )
        raise ImageError(msg)
    return 1.0
