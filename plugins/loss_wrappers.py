"""Losses around losses: a weight that changes during the training, and total variation on top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor

from n2n_ablate import (
    Component,
    Loss,
    LossContext,
    MeasuredNoise,
    Noise,
    Pairs,
    Range,
    Register,
    Split,
    StackRandom,
    Views,
    hookimpl,
)
from n2n_ablate_plugins.zs_n2n import Residual, ResidualConsistency


@dataclass(frozen=True)
class ConsistencyRamp:
    """The ZS-N2N loss with a consistency weight that changes over the training.

    residual + w(t) consistency, both as in Mansour and Heckel (2023), where t runs from 0 to 1.
    Weights that grow are those of Huang et al. (2021); a constant one is `residual-consistency`.

    Args:
        start: Weight at the beginning.
        end: Weight at the end.
        shape: How it gets there: `linear`, along half a `cosine`, or in one `step` half-way.
    """

    start: Annotated[float, Range(0, 4)] = 0.0
    end: Annotated[float, Range(0, 4)] = 2.0
    shape: Literal["linear", "cosine", "step"] = "linear"

    def weight(self, progress: float) -> float:
        """Return the weight when this share of the training is done."""
        if self.shape == "cosine":
            progress = (1 - math.cos(math.pi * progress)) / 2
        elif self.shape == "step":
            progress = float(progress >= 0.5)
        return self.start + (self.end - self.start) * progress

    def __call__(self, context: LossContext) -> Tensor:
        """Return the loss of each fit, shape (b,)."""
        weight = self.weight(context.progress)
        if weight == 0 or not context.supports_consistency:
            return Residual()(context)
        return ResidualConsistency(consistency_weight=weight)(context)


@dataclass(frozen=True)
class TotalVariation:
    """Another loss plus the total variation of the denoised image (Rudin et al., 1992).

    The added part is the weight times the mean absolute difference of neighbouring pixels, once
    along rows and once along columns. It favours flat regions and sharp edges.

    Args:
        loss: What it is added to. In a study file a name or a table.
        weight: Factor of the added part.
    """

    loss: Annotated[Loss, Component("loss")] = ResidualConsistency()  # noqa: RUF009  it is frozen
    weight: Annotated[float, Range(0, 1)] = 0.004

    @property
    def required_noise(self) -> Noise | None:
        """See `n2n_ablate.Loss`; that of the inner loss."""
        return getattr(self.loss, "required_noise", None)

    def __call__(self, context: LossContext) -> Tensor:
        """Return the loss of each fit, shape (b,)."""
        remembering = _Remembering(context)
        loss = self.loss(remembering)
        (full,) = remembering.denoise(context.noisy)
        down = (full[..., 1:, :] - full[..., :-1, :]).abs().mean(dim=(1, 2, 3))
        right = (full[..., :, 1:] - full[..., :, :-1]).abs().mean(dim=(1, 2, 3))
        return loss + self.weight * (down + right)


class _Remembering:
    """A context that denoises the whole noisy image once, however often it is asked."""

    def __init__(self, context: LossContext) -> None:
        self._context = context
        self._full: Tensor | None = None
        self.noisy: Tensor = context.noisy
        self.pairs: Pairs = context.pairs
        self.supports_consistency: bool = context.supports_consistency

    @property
    def noises(self) -> tuple[Noise | MeasuredNoise | None, ...]:
        return self._context.noises

    @property
    def mask(self) -> Tensor | None:
        return self._context.mask

    @property
    def rng(self) -> StackRandom:
        return self._context.rng

    @property
    def progress(self) -> float:
        return self._context.progress

    def denoise(self, *images: Tensor) -> Views:
        if self._full is not None and len(images) == 1 and images[0] is self.noisy:
            return (self._full,)
        found = self._context.denoise(*images)
        for image, out in zip(images, found, strict=True):
            # A result without gradients must not be handed to somebody who trains through it.
            if image is self.noisy and out.requires_grad:
                self._full = out
        return found

    def views(self, image: Tensor) -> Views:
        return self._context.views(image)

    def resample(self) -> Split:
        return self._context.resample()


@hookimpl
def register_losses(register: Register) -> None:
    """Register the losses of this file."""
    register("consistency-ramp", ConsistencyRamp)
    register("total-variation", TotalVariation)
