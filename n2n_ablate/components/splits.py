"""Linear splits: small kernels moved over the image, or pixels picked from places.

The engine recognises the first and batches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from n2n_ablate.components import Views
from n2n_ablate.errors import ImageError

Rows = Sequence[Sequence[float]]


@dataclass(frozen=True, eq=False)
class KernelSplit:
    """Views of an image as strided correlations with one kernel each; odd rests are dropped.

    Attributes:
        kernels: Shape (views, k, k), on the device of the images.
        stride: Distance in pixels between neighbouring cells.
    """

    kernels: Tensor
    stride: int

    def __call__(self, image: Tensor) -> Views:
        """Cut images (b, c, h, w) into views (b, c, h', w'), where h' = (h - k) // stride + 1."""
        _b, c, _h, _w = image.shape
        weight = self.kernels.to(image.dtype).unsqueeze(1).repeat(c, 1, 1, 1)
        # One depthwise pass makes all views: channel 0 of every view, then channel 1, and so on.
        out = conv2d(image, weight, stride=self.stride, groups=c)
        return out.unflatten(1, (c, len(self.kernels))).unbind(2)

    @classmethod
    def of(cls, image: Tensor, *kernels: Rows, stride: int, name: str) -> KernelSplit:
        """Make the split for images like `image`.

        Raises:
            ImageError: The image is smaller than one cell.
        """
        weights = torch.tensor(kernels, dtype=torch.float32, device=image.device)
        require_cell(image, weights.shape[-1], name)
        return cls(weights, stride)


@dataclass(frozen=True, eq=False)
class PixelSplit:
    """Views whose pixels are single pixels of the image, or means of a few of them.

    Attributes:
        index: Number `row * w + column` of every pixel used: view after view, each flattened. Whole
            numbers, on the device of the images.
        shapes: Of each view: (n, h', w'), n pixels of the image for each of its own.
    """

    index: Tensor
    shapes: tuple[tuple[int, int, int], ...]

    def __call__(self, image: Tensor) -> Views:
        """Cut images of shape (b, c, h, w) into views of shape (b, c, h', w')."""
        # One pick for all views; its backward pass adds up what several views take from a pixel.
        picked = image.flatten(2).index_select(2, self.index)
        parts = picked.split([n * h * w for n, h, w in self.shapes], dim=2)
        return tuple(
            part.unflatten(2, (h, w)) if n == 1 else part.unflatten(2, (n, h, w)).mean(dim=2)
            for part, (n, h, w) in zip(parts, self.shapes, strict=True)
        )

    @classmethod
    def of(cls, image: Tensor, *views: Tensor) -> PixelSplit:
        """Make the split for images like `image`.

        Args:
            image: Shape (b, c, h, w); its size and device count.
            views: Which pixels each view takes: numbers `row * w + column` of shape (h', w'), or
                (n, h', w') for means of n pixels each. On any device.
        """
        places = [view if view.dim() == 3 else view[None] for view in views]
        index = torch.cat([place.flatten() for place in places]).to(image.device)
        shapes = [(len(place), place.shape[1], place.shape[2]) for place in places]
        return cls(index, tuple(shapes))


def pixel_numbers(image: Tensor) -> Tensor:
    """Return the number `row * w + column` of every pixel, shape (h, w), on the CPU."""
    h, w = image.shape[-2:]
    return torch.arange(h * w).view(h, w)


def require_cell(image: Tensor, size: int, name: str) -> None:
    """Check that at least one cell of `size` x `size` pixels fits into the image.

    Raises:
        ImageError: It does not; the message names the sampler and both sizes.
    """
    h, w = image.shape[-2:]
    if min(h, w) < size:
        msg = f"sampler '{name}' needs an image of at least {size}x{size} pixels, got {h}x{w}"
        raise ImageError(msg)
