"""Turns samples of any usual type and shape into pixels from 0 to 1."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.errors import ImageError


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
