"""What an image is: samples as its file has them, and pixels, with what writes them back as they came."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from torch import Tensor

from n2n_ablate.errors import ImageError


@dataclass(frozen=True)
class ValueRange:
    """How the samples of a file become pixels: sample = offset + scale * pixel."""

    offset: float = 0.0  # sample that is pixel 0
    scale: float = 255.0  # samples between pixel 0 and pixel 1
    dtype: str = "uint8"  # type of the samples, a NumPy name

    def to_pixels(self, samples: np.ndarray) -> np.ndarray:
        """Return samples as float32 pixels."""
        # In double precision: of whole numbers the quotient then is the same for a*x + b as for x.
        return ((samples.astype(np.float64) - self.offset) / self.scale).astype(np.float32)

    def to_samples(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels as samples of the type, rounded and clipped at the limits of the type only."""
        values = self.offset + self.scale * pixels.astype(np.float64)
        kind = np.dtype(self.dtype)
        if np.issubdtype(kind, np.integer):
            limits = np.iinfo(kind)
            top = np.nextafter(float(limits.max), 0) if kind.itemsize == 8 else limits.max
            values = np.rint(values).clip(limits.min, top)
        return values.astype(kind)


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its samples, as far as it can be written back."""

    # pixels per inch along x and y, None if the file does not say
    resolution: tuple[float, float] | None = None
    icc: bytes = b""  # ICC profile, empty without one
    # axes of a stack in the letters of tifffile, e.g. `TZ`, and how many steps each has.
    axes: str = ""
    steps: tuple[int, ...] = ()
    dialect: str = ""  # `ome`, `imagej` or empty
    # further entries of the dialect, e.g. `spacing` and `unit`, or `PhysicalSizeX`.
    about: Mapping[str, object] = field(default_factory=dict)


NO_METADATA = Metadata()
EIGHT_BITS = ValueRange()


@dataclass(frozen=True, eq=False)
class Image:
    """One clean image, one reference of measured noise, or (for `denoise`) one noisy image."""

    name: str  # short and unique in a study
    pixels: Tensor  # float32, shape (1, c, h, w), 0 for black and 1 for white
    range: ValueRange = EIGHT_BITS  # how the samples of its file became pixels
    metadata: Metadata = NO_METADATA  # of its file
    # images of equal cluster show parts of one scene and count as one to statistics; empty stands
    # for the image's name
    cluster: str = ""
    condition: str = ""  # label of the condition that it belongs to; empty for every synthetic one

    @property
    def bits(self) -> int:
        """Bits per sample of the file it came from."""
        return np.dtype(self.range.dtype).itemsize * 8

    @property
    def scene(self) -> str:
        """What the image is counted as by statistics: its cluster, or itself."""
        return self.cluster or self.name

    @cached_property  # every fit asks for it several times
    def digest(self) -> str:
        """Hash of shape and pixels: the identity of the image, whatever its file is called."""
        return digest_of(self.pixels)

    def cropped(self, size: int) -> Image:
        """Return the centre crop of at most `size` x `size` pixels; 0 keeps all."""
        pixels = centre_crop(self.pixels, size)
        return self if pixels is self.pixels else replace(self, pixels=pixels)

    def grey(self) -> Image:
        """Return the image with one channel, the mean of its colours."""
        return replace(self, pixels=self.pixels.mean(dim=1, keepdim=True))


def digest_of(pixels: Tensor) -> str:
    """Return the hash of shape and pixels of a tensor on the CPU, 16 hexadecimal digits."""
    array = np.ascontiguousarray(pixels.numpy())
    return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()[:16]


def centre_crop(pixels: Tensor, size: int) -> Tensor:
    """Return the centre of at most `size` x `size` pixels of (..., h, w); 0 keeps all."""
    h, w = pixels.shape[-2:]
    if not size or (h <= size and w <= size):
        return pixels
    top, left = max(0, (h - size) // 2), max(0, (w - size) // 2)
    return pixels[..., top : top + min(size, h), left : left + min(size, w)].contiguous()


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
