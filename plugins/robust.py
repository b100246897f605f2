"""The ZS-N2N loss with another distance between images: absolute, Huber, Charbonnier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from n2n_ablate import LossContext, Range, Register, hookimpl

Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From two stacks of images (b, c, h, w) to one value per pair, (b,)."""


@dataclass(frozen=True)
class Absolute:
    """Residual and consistency as mean absolute differences (L1; as in Ma et al., 2025).

    The loss of Mansour and Heckel (2023) with |.| for |.|^2. It trains towards medians: right for
    impulse noise, whose mean is wrong, and off for skewed noise such as speckle.

    Args:
        consistency_weight: Factor of the consistency part; 0 leaves it out.
        symmetric: False keeps only the first pair of the residual part.
    """

    consistency_weight: Annotated[float, Range(0, 2)] = 1.0
    symmetric: bool = True

    def __call__(self, context: LossContext) -> Tensor:
        """Return the loss of each fit, shape (b,)."""
        return _loss(context, _absolute, self.consistency_weight, self.symmetric)


@dataclass(frozen=True)
class Huber:
    """Residual and consistency, squared where small and absolute beyond (Huber, 1964).

    With e the difference: 1/2 e^2 up to delta, delta (|e| - delta / 2) beyond, averaged over
    pixels and channels. Where all differences are small this is half the loss of Mansour and
    Heckel (2023). The default of delta is this project's: about the noise of sigma 25.

    Args:
        delta: Where the squared part ends, with white at 1.
        consistency_weight: Factor of the consistency part; 0 leaves it out.
        symmetric: False keeps only the first pair of the residual part.
    """

    delta: Annotated[float, Range(0.001, 1, log=True)] = 0.1
    consistency_weight: Annotated[float, Range(0, 2)] = 1.0
    symmetric: bool = True

    def __call__(self, context: LossContext) -> Tensor:
        """Return the loss of each fit, shape (b,)."""

        def distance(first: Tensor, second: Tensor) -> Tensor:
            each = huber_loss(first, second, reduction="none", delta=self.delta)
            return each.mean(dim=(1, 2, 3))

        return _loss(context, distance, self.consistency_weight, self.symmetric)


@dataclass(frozen=True)
class Charbonnier:
    """Residual and consistency with a smooth absolute distance (Charbonnier et al., 1994).

    With e the difference: sqrt(e^2 + epsilon^2), averaged over pixels and channels. The default is
    that of the ZS-N2N variants in the public library `mon`; others take 0.001 (Lai et al., 2017).

    Args:
        epsilon: How round the distance is at 0, with white at 1.
        consistency_weight: Factor of the consistency part; 0 leaves it out.
        symmetric: False keeps only the first pair of the residual part.
    """

    epsilon: Annotated[float, Range(1e-6, 1, log=True)] = 1e-5
    consistency_weight: Annotated[float, Range(0, 2)] = 1.0
    symmetric: bool = True

    def __call__(self, context: LossContext) -> Tensor:
        """Return the loss of each fit, shape (b,)."""

        def distance(first: Tensor, second: Tensor) -> Tensor:
            each = ((first - second).square() + self.epsilon**2).sqrt()
            return each.mean(dim=(1, 2, 3))

        return _loss(context, distance, self.consistency_weight, self.symmetric)


def _absolute(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).abs().mean(dim=(1, 2, 3))


def _loss(context: LossContext, distance: Distance, consistency: float, symmetric: bool) -> Tensor:
    pairs = context.pairs if symmetric else context.pairs[:1]
    consistent = context.supports_consistency and consistency != 0
    y = context.views(context.noisy)
    places = list(range(len(y))) if consistent else sorted({i for i, _ in pairs})
    # One call, so that views of one shape share one pass through the network.
    x = dict(zip(places, context.denoise(*(y[i] for i in places)), strict=True))
    loss = torch.stack([distance(x[i], y[j]) for i, j in pairs]).mean(dim=0)
    if not consistent:
        return loss
    (full,) = context.denoise(context.noisy)
    cut = context.views(full)
    return loss + consistency * torch.stack([distance(x[i], cut[i]) for i in x]).mean(dim=0)


@hookimpl
def register_losses(register: Register) -> None:
    """Register the losses of this file."""
    register("absolute", Absolute)
    register("huber", Huber)
    register("charbonnier", Charbonnier)
