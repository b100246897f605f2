"""Linear splits: two small kernels moved over the image. The engine recognises and batches them."""

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
        """Cut images of shape (b, c, h, w) into views of shape (b, c, h // stride, w // stride)."""
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


def require_cell(image: Tensor, size: int, name: str) -> None:
    """Check that at least one cell of `size` x `size` pixels fits into the image.

    Raises:
        ImageError: It does not; the message names the sampler and both sizes.
    """
    h, w = image.shape[-2:]
    if min(h, w) < size:
        msg = f"sampler '{name}' needs an image of at least {size}x{size} pixels, got {h}x{w}"
        raise ImageError(msg)
