"""What a decoder hands over: samples as the file has them, nothing scaled yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.errors import ImageError
from n2n_ablate.images.image import NO_METADATA, Metadata

LARGEST = 400_000_000
"""Samples in a file; larger ones would fill the memory of most machines."""


@dataclass(frozen=True, eq=False)
class Samples:
    """One image of a file."""

    array: np.ndarray  # shape (h, w) or (h, w, 3), any real type
    # the sample that is white, where the file says so; None if its type has to tell
    white: float | None = None
    # tells it from the other images of the file, e.g. `p2`; empty for the only one.
    label: str = ""
    metadata: Metadata = NO_METADATA  # of the file


def as_samples(array: np.ndarray) -> np.ndarray:
    """Return an array as samples: truth values as 8 bits, black and white."""
    return array.astype(np.uint8) * np.uint8(255) if array.dtype == bool else array


def check_size(samples: int, name: str) -> None:
    """Check that an image can be held in memory before it is decoded."""
    if samples > LARGEST:
        msg = f"'{name}' has {samples:,} samples; at most {LARGEST:,} can be read. Crop it first."
        raise ImageError(msg)


def pick_channels(
    array: np.ndarray, channels: Sequence[int], name: str
) -> list[tuple[str, np.ndarray]]:
    """Return the channels that the user asked for, each as an image (h, w) with a label.

    `array`: Shape (h, w, c); `channels`: counted from 1; `name`: of the file.
    """
    count = array.shape[-1]
    if not channels:
        msg = (
            f"'{name}' has shape {array.shape}: {count} channels that are no colours. Choose with "
            f"--channels, e.g. --channels 1, or --channels {','.join(map(str, range(1, count + 1)))} "
            "for an image of each"
        )
        raise ImageError(msg)
    if wrong := [channel for channel in channels if not 1 <= channel <= count]:
        msg = f"'{name}' has {count} channel{'s' * (count > 1)}, --channels asks for {wrong[0]}"
        raise ImageError(msg)
    several = len(channels) > 1
    return [(f"c{k}" if several else "", array[..., k - 1]) for k in channels]
