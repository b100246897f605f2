"""Linear splits: small kernels moved over the image, or pixels picked from places.

A class of splits with a method `stacked` is cut for all fits of a stack at once: given one split per
fit, it returns the split that cuts image i like split i, or None if they are too different.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from n2n_ablate.components import Split, Views
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
        if image.device.type == "cpu":
            return _strided_sums(image, self.kernels, self.stride)
        _b, c, _h, _w = image.shape
        weight = self.kernels.to(image.dtype).unsqueeze(1).repeat(c, 1, 1, 1)
        # One depthwise pass makes all views: channel 0 of every view, then channel 1, and so on.
        out = conv2d(image, weight, stride=self.stride, groups=c)
        return out.unflatten(1, (c, len(self.kernels))).unbind(2)

    @staticmethod
    def stacked(splits: Sequence[KernelSplit]) -> Split | None:
        """Return a split that cuts image i with split i; kernels of one size and stride only."""
        first = splits[0]
        if any((s.kernels.shape, s.stride) != (first.kernels.shape, first.stride) for s in splits):
            return None
        kernels = torch.stack([split.kernels for split in splits])  # (b, views, k, k)

        def cut(image: Tensor) -> Views:
            b, c, h, w = image.shape
            weight = kernels.unsqueeze(1).expand(-1, c, -1, -1, -1).flatten(0, 2).unsqueeze(1)
            flat = image.reshape(1, b * c, h, w)
            out = conv2d(flat, weight.to(image.dtype), stride=first.stride, groups=b * c)
            return out[0].unflatten(0, (b, c, kernels.shape[1])).unbind(2)

        return cut

    @classmethod
    def of(cls, image: Tensor, *kernels: Rows, stride: int, name: str) -> KernelSplit:
        """Make the split for images like `image`.

        Raises:
            ImageError: The image is smaller than one cell.
        """
        weights = torch.tensor(kernels, dtype=torch.float32, device=image.device)
        require_cell(image, weights.shape[-1], name)
        return cls(weights, stride)


def _strided_sums(image: Tensor, kernels: Tensor, stride: int) -> Views:
    """Add up weighted pixels of every cell: for a few weights, faster on a CPU than a convolution."""
    side = kernels.shape[-1]
    height, width = ((size - side) // stride + 1 for size in image.shape[-2:])
    return _StridedSums.apply(image, kernels.tolist(), stride, height, width)  # type: ignore[no-untyped-call]


class _StridedSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        kernels: list[list[list[float]]],
        stride: int,
        height: int,
        width: int,
    ) -> Views:
        ctx.cells, ctx.kernels, ctx.shape = (stride, height, width), kernels, image.shape
        views = []
        for kernel in kernels:
            view = image.new_zeros(*image.shape[:2], height, width)
            for pixels, weight in _weighted(image, kernel, ctx.cells):
                view.add_(pixels, alpha=weight)
            views.append(view)
        return tuple(views)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        of_image = gradients[0].new_zeros(ctx.shape)
        for kernel, gradient in zip(ctx.kernels, gradients, strict=True):
            for pixels, weight in _weighted(of_image, kernel, ctx.cells):
                pixels.add_(gradient, alpha=weight)
        return of_image, None, None, None, None


def _weighted(
    image: Tensor, kernel: Rows, cells: tuple[int, int, int]
) -> Iterator[tuple[Tensor, float]]:
    """Yield one pixel of all cells at a time, with its weight; those of weight 0 are left out."""
    stride, height, width = cells
    for y, row in enumerate(kernel):
        for x, weight in enumerate(row):
            if weight:
                rows, columns = (
                    slice(y, y + stride * height, stride),
                    slice(x, x + stride * width, stride),
                )
                yield image[..., rows, columns], weight


@dataclass(frozen=True, eq=False)
class PixelSplit:
    """Views whose pixels are single pixels of the image, or means of a few of them.

    Attributes:
        index: Number `row * w + column` of every pixel used: view after view, each flattened. Whole
            numbers, on any device.
        shapes: Of each view: (n, h', w'), n pixels of the image for each of the view.
        mask: Where the first view hides what the second holds, truth values (1, 1, h', w'); None if
            nowhere. See `Sampler.draw`.
    """

    index: Tensor
    shapes: tuple[tuple[int, int, int], ...]
    mask: Tensor | None = None

    def __call__(self, image: Tensor) -> Views:
        """Cut images of shape (b, c, h, w) into views of shape (b, c, h', w')."""
        # One pick for all views; its backward pass adds up what several views take from a pixel.
        picked = image.flatten(2).index_select(2, self.index.to(image.device))
        return _views(picked, self.shapes)

    @staticmethod
    def stacked(splits: Sequence[PixelSplit]) -> Split | None:
        """Return a split that cuts image i with split i; views of equal shapes only."""
        shapes = splits[0].shapes
        if any(split.shapes != shapes for split in splits):
            return None
        index = torch.stack([split.index for split in splits])[:, None]  # (b, 1, pixels)
        kept: dict[torch.device, Tensor] = {}  # all numbers go to a GPU at once, and only once

        def cut(image: Tensor) -> Views:
            device, c = image.device, image.shape[1]
            if device not in kept:
                kept[device] = index.to(device)
            picked = image.flatten(2).gather(2, kept[device].expand(-1, c, -1))
            return _views(picked, shapes)

        return cut

    @classmethod
    def of(cls, image: Tensor, *views: Tensor, mask: Tensor | None = None) -> PixelSplit:
        """Make the split for images like `image`.

        Args:
            image: Shape (b, c, h, w); its size counts.
            views: Which pixels each view takes: numbers `row * w + column` of shape (h', w'), or
                (n, h', w') for means of n pixels each. On any device.
            mask: Where pixels are hidden, truth values (h', w').
        """
        places = [view if view.dim() == 3 else view[None] for view in views]
        index = torch.cat([index_map.flatten() for index_map in places])
        shapes = [(len(index_map), index_map.shape[1], index_map.shape[2]) for index_map in places]
        return cls(index, tuple(shapes), None if mask is None else mask[None, None])


def _views(picked: Tensor, shapes: Sequence[tuple[int, int, int]]) -> Views:
    parts = picked.split([n * h * w for n, h, w in shapes], dim=2)
    return tuple(
        part.unflatten(2, (h, w)) if n == 1 else part.unflatten(2, (n, h, w)).mean(dim=2)
        for part, (n, h, w) in zip(parts, shapes, strict=True)
    )


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
