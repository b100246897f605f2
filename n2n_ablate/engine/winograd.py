"""The chain of `compiled` by torch's operations: where there is no compiled kernel, in float32.

The same algorithm, Winograd's F(4x4, 3x3) (Lavin and Gray, CVPR 2016): tiles are transformed, multiplied
by `bmm` and transformed back. Activations are channels last, (n, h, w, channels). Some rows of tiles are
computed at a time, so that their transforms stay in the caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv_transpose2d, leaky_relu_, pad, unfold

from n2n_ablate.engine.layout import Layout
from n2n_ablate.engine.weights import Packing

_TILES = 200  # at a time, about
_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float32,
)
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float32,
)
_WEIGHT = (
    torch.tensor(
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]],
        dtype=torch.float32,
    )
    / 24
)


class WinogradChain:
    """One network; see `compiled.CompiledChain`, which this stands in for."""

    def __init__(self, layout: Layout, packing: Packing, *, residual: bool) -> None:
        self.layout = layout
        self.packing = packing
        self.residual = residual

    def __call__(self, weights: Tensor, images: Sequence[Tensor]) -> list[Tensor]:
        """Denoise float32 images (n, c, h, w) of any shapes with the weights (1, n)."""
        return list(_Pass.apply(weights, self, *images))  # type: ignore[no-untyped-call]


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, chain: WinogradChain, *images: Tensor
    ) -> tuple[Tensor, ...]:
        parts = chain.packing.views(weights.detach()[0])
        results, saved = [], []
        for image in images:
            rows = _patches(image) @ parts[0].flatten(1).T + parts[1]
            activation = _as_image(rows, image)
            activations = []
            for kernel, bias in zip(parts[2:-2:2], parts[3:-2:2], strict=True):
                activations.append(leaky_relu_(activation, chain.layout.slope))
                activation = _convolution(activation, _transformed(kernel), bias)
            activations.append(leaky_relu_(activation, chain.layout.slope))
            out = (activation @ parts[-2].flatten(1).T + parts[-1]).permute(0, 3, 1, 2)
            results.append(image - out if chain.residual else out)
            saved += activations
        ctx.chain, ctx.images = chain, len(images)
        ctx.save_for_backward(weights, *images, *saved)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        chain: WinogradChain = ctx.chain
        weights, *rest = ctx.saved_tensors
        depth = chain.layout.inner + 1
        total = torch.zeros_like(weights)
        parts, into = chain.packing.views(weights.detach()[0]), chain.packing.views(total[0])
        of_images: list[Tensor | None] = []
        for index, gradient in enumerate(gradients):
            image = rest[index]
            activations = rest[ctx.images + depth * index : ctx.images + depth * (index + 1)]
            back = (gradient.neg() if chain.residual else gradient).permute(0, 2, 3, 1)
            through = _down(back, image, activations, parts, into, chain.layout.slope)
            if ctx.needs_input_grad[2 + index]:
                of_image = conv_transpose2d(through.permute(0, 3, 1, 2), parts[0], padding=1)
                of_images.append(gradient + of_image if chain.residual else of_image)
            else:
                of_images.append(None)
        return (total, None, *of_images)


def _down(
    back: Tensor,
    image: Tensor,
    activations: Sequence[Tensor],
    parts: Sequence[Tensor],
    into: Sequence[Tensor],
    slope: float,
) -> Tensor:
    """Take a gradient down the chain, adding that of the weights; return it before the first LeakyReLU."""
    rows = back.reshape(-1, back.shape[-1])
    into[-2].view(into[-2].shape[:2]).addmm_(rows.T, activations[-1].flatten(0, 2))
    into[-1].add_(rows.sum(0))
    before = (rows @ parts[-2].flatten(1)).view_as(activations[-1])
    for index in reversed(range(len(activations))):
        before = torch.ops.aten.leaky_relu_backward(before, activations[index], slope, True)
        into[2 * index + 1].add_(before.sum((0, 1, 2)))
        if index:
            into[2 * index].add_(_of_kernel(activations[index - 1], before))
            turned = parts[2 * index].flip(2, 3).transpose(0, 1)
            before = _convolution(before, _transformed(turned), None)
    into[0].add_((before.flatten(0, 2).T @ _patches(image)).view_as(into[0]))
    return before


def _patches(image: Tensor) -> Tensor:
    """Return the 3x3 surroundings of every pixel, (n * h * w, 9 c)."""
    return unfold(image, 3, padding=1).transpose(1, 2).flatten(0, 1)


def _as_image(rows: Tensor, image: Tensor) -> Tensor:
    return rows.view(len(image), *image.shape[-2:], -1)


def _transformed(kernel: Tensor) -> Tensor:
    """Return the transform of a kernel (o, i, 3, 3), (36, i, o)."""
    points = torch.einsum("pa,oiab,qb->pqio", _WEIGHT, kernel, _WEIGHT)
    return points.reshape(36, *points.shape[2:])


def _tiles(x: Tensor, size: int, margin: int) -> Iterator[tuple[int, Tensor]]:
    """Yield some rows of tiles at a time: the first row, and pixels (size, size, rows, columns, channels)."""
    _n, h, w, channels = x.shape
    down, across = -(-h // 4), -(-w // 4)
    far = margin and 2
    padded = pad(
        x, (0, 0, margin, 4 * across - w + far - margin, margin, 4 * down - h + far - margin)
    )
    step = max(1, _TILES // across)
    for image in padded:
        line = image.stride(0)
        strides = (line, channels, 4 * line, 4 * channels, 1)
        for top in range(0, down, step):
            rows = min(step, down - top)
            shape = (size, size, rows, across, channels)
            yield top, image.as_strided(shape, strides, image.storage_offset() + 4 * top * line)


def _points(tiles: Tensor, matrix: Tensor) -> Tensor:
    """Transform tiles, (36, tiles, channels)."""
    height, width, rows, columns, channels = tiles.shape
    half = (matrix @ tiles.reshape(height, -1)).view(-1, width, rows * columns * channels)
    return torch.matmul(matrix, half).view(36, rows * columns, channels)


def _convolution(x: Tensor, points: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (n, h, w, i) with a transformed kernel, zero padding: (n, h, w, o)."""
    n, h, w, _ = x.shape
    down, across = -(-h // 4), -(-w // 4)
    out = x.new_empty(n, down, 4, across, 4, points.shape[-1])
    image = -1
    for top, tiles in _tiles(x, 6, 1):
        image += top == 0
        rows = tiles.shape[2]
        products = torch.bmm(_points(tiles, _INPUT), points)
        half = (_OUTPUT @ products.view(6, -1)).view(4, 6, -1)
        back = torch.matmul(_OUTPUT, half).view(4, 4, rows, across, -1).permute(2, 0, 3, 1, 4)
        out[image, top : top + rows] = back if bias is None else back + bias
    return out.view(n, 4 * down, 4 * across, -1)[:, :h, :w].contiguous()


def _of_kernel(x: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient of a kernel, (o, i, 3, 3), from input and that of the output."""
    sums = x.new_zeros(36, gradient.shape[-1], x.shape[-1])
    pieces = zip(_tiles(x, 6, 1), _tiles(gradient, 4, 0), strict=True)
    for (_, inputs), (_, outputs) in pieces:
        sums.baddbmm_(_points(outputs, _OUTPUT.T.contiguous()).mT, _points(inputs, _INPUT))
    return torch.einsum("pa,pqoi,qb->oiab", _WEIGHT, sums.view(6, 6, *sums.shape[1:]), _WEIGHT)
