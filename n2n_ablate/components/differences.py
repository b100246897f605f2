"""Differences between images, as losses need them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def mse(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean squared difference of each pair of images: (b, c, h, w) to (b,).

    With a mask, truth values (b, 1 or c, h, w), over the pixels where it is true.
    """
    if mask is None:
        return _Mse.apply(first, second)  # type: ignore[no-untyped-call]
    kept = mask.expand_as(first)
    squares = torch.where(kept, first - second, 0.0).square()
    return squares.sum(dim=(1, 2, 3)) / kept.sum(dim=(1, 2, 3)).clamp(min=1)


class _Mse(torch.autograd.Function):
    """One node of the graph and four passes over the images in all."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        difference = first - second
        ctx.save_for_backward(difference)
        return difference.square().mean(dim=(1, 2, 3))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (difference,) = ctx.saved_tensors
        factor = gradient * (2 / difference[0].numel())
        of_first = difference * factor[:, None, None, None]
        of_second = -of_first if ctx.needs_input_grad[1] else None
        return of_first if ctx.needs_input_grad[0] else None, of_second
