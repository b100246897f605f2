"""Zero-Shot Noise2Noise: its pair sampler and one relative, its two losses, its small network.

Mansour and Heckel, "Zero-Shot Noise2Noise: Efficient Image Denoising without any Data", CVPR 2023.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from n2n_ablate import (
    DenoisingChain,
    KernelSplit,
    LossContext,
    Pairs,
    ParameterError,
    Range,
    Register,
    Split,
    Views,
    hookimpl,
    mse,
)


@dataclass(frozen=True)
class Diagonal:
    """Means of the two diagonals of every 2x2 cell (Mansour and Heckel, 2023).

    Images (b, c, h, w) become two views (b, c, h // 2, w // 2): the rising diagonal, then the
    falling one. An odd last row or column is dropped. White noise of standard deviation s stays
    independent between the views and falls to 0.71 s in each.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    fixed: ClassVar[bool] = True

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        rising = [[0.0, 0.5], [0.5, 0.0]]
        falling = [[0.5, 0.0], [0.0, 0.5]]
        return KernelSplit.of(image, rising, falling, stride=2, name="diagonal")


@dataclass(frozen=True)
class EdgeWeighted:
    """Diagonal means that give the other diagonal a small weight too (N2N reproduction note).

    With weight w the kernels are [[w, .5], [.5, w]] and [[.5, w], [w, .5]], divided by a constant.
    Every pixel then feeds both views, so their noise is correlated, positively for w > 0 and
    negatively for w < 0: the sampler breaks the independence assumption on purpose. Weight 0 is
    the diagonal sampler of Mansour and Heckel (2023).

    Args:
        weight: What a pixel of the other diagonal weighs; one of the own diagonal weighs 0.5.
        divisor: The note's code and its text disagree. `sum` divides by the sum 1 + 2w, so that a
            flat image keeps its gray. `text` divides by 1 + w for positive weights, so views are
            brighter than the image by (1 + 2w) / (1 + w), 9 % at 0.1; else it is `sum`.

    Raises:
        ImageError: `draw` was given an image smaller than 2x2 pixels.
    """

    weight: Annotated[float, Range(-0.2, 0.2)] = 0.1
    divisor: Literal["sum", "text"] = "sum"

    fixed: ClassVar[bool] = True

    @property
    def leaks(self) -> bool:
        """True unless the weight is 0: every pixel feeds both views."""
        return self.weight != 0

    @property
    def preserves_mean(self) -> bool:
        """False where the kernels do not sum to one."""
        return self.divisor == "sum" or self.weight <= 0

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        """See `n2n_ablate.Sampler.draw`. The split ignores `rng`."""
        total = 1 + 2 * self.weight if self.preserves_mean else 1 + self.weight
        own, other = 0.5 / total, self.weight / total
        rising = [[other, own], [own, other]]
        falling = [[own, other], [other, own]]
        return KernelSplit.of(image, rising, falling, stride=2, name="edge-weighted")


@dataclass(frozen=True)
class Residual:
    """Each view, denoised, must predict the other view (Mansour and Heckel, 2023).

    With y1, y2 the views of the noisy image and x1, x2 their denoised versions::

        residual = 1/2 (|x1 - y2|^2 + |x2 - y1|^2)

    where |.|^2 is the mean over pixels and channels. With other pairs of views: the mean over them.

    Args:
        symmetric: False trains one way only, on the first pair: |x1 - y2|^2.
    """

    symmetric: bool = True

    def __call__(self, context: LossContext) -> Tensor:
        """Return the residual loss of each fit, shape (b,)."""
        pairs = context.pairs if self.symmetric else context.pairs[:1]
        y = context.views(context.noisy)
        x, _ = _denoised(context, y, (i for i, _ in pairs))
        return _residual(x, y, pairs)


@dataclass(frozen=True)
class ResidualConsistency:
    """Residual loss plus consistency of denoising and cutting (Mansour and Heckel, 2023).

    With y the noisy image, x = denoised y, y1, y2 the views of y and x1, x2 their denoised
    versions::

        residual    = 1/2 (|x1 - y2|^2 + |x2 - y1|^2)
        consistency = 1/2 (|x1 - D1 x|^2 + |x2 - D2 x|^2)

    where D1 and D2 cut, and |.|^2 is the mean over pixels and channels. Gradients flow through
    both sides of the consistency. A part of weight 0 is not computed; with samplers for which
    cutting the denoised image has no meaning the consistency is left out.

    Args:
        residual_weight: Factor of the residual part.
        consistency_weight: Factor of the consistency part.
        symmetric: False keeps only the first pair of the residual part, |x1 - y2|^2.
        consistency_draw: `same` cuts the noisy and the denoised image in the same places; `fresh`
            draws once more for the denoised image, as code that draws at every call does.

    Raises:
        ParameterError: Both parts are switched off, so nothing is left to train on.
    """

    residual_weight: Annotated[float, Range(0, 2)] = 1.0
    consistency_weight: Annotated[float, Range(0, 2)] = 1.0
    symmetric: bool = True
    consistency_draw: Literal["same", "fresh"] = "same"

    def __post_init__(self) -> None:
        if self.residual_weight == 0 and self.consistency_weight == 0:
            msg = "residual_weight and consistency_weight are both 0. Give one of them a weight."
            raise ParameterError(msg)

    def __call__(self, context: LossContext) -> Tensor:
        """Return the weighted sum of both parts for each fit, shape (b,)."""
        pairs = context.pairs if self.symmetric else context.pairs[:1]
        y = context.views(context.noisy)
        consistent = context.supports_consistency and self.consistency_weight != 0
        wanted = range(len(y)) if consistent else (i for i, _ in pairs)
        x, whole = _denoised(context, y, wanted, *([context.noisy] if consistent else []))
        parts = []
        if self.residual_weight != 0:
            parts.append(self.residual_weight * _residual(x, y, pairs))
        if consistent:
            parts.append(self.consistency_weight * self._consistency(context, x, whole[0]))
        if not parts:
            msg = (
                "residual_weight is 0 and this sampler cannot cut a denoised image, so there is no "
                "consistency to train on. Give residual_weight a value above 0."
            )
            raise ParameterError(msg)
        return torch.stack(parts).sum(dim=0)

    def _consistency(self, context: LossContext, x: dict[int, Tensor], full: Tensor) -> Tensor:
        cut = context.resample() if self.consistency_draw == "fresh" else context.views
        views = cut(full)
        return torch.stack([mse(x[i], views[i]) for i in x]).mean(dim=0)


def _denoised(
    context: LossContext, y: Views, wanted: Iterable[int], *more: Tensor
) -> tuple[dict[int, Tensor], Views]:
    places = sorted(set(wanted))
    # One call, so that everything that can be shared between the passes is shared.
    found = context.denoise(*(y[i] for i in places), *more)
    return dict(zip(places, found, strict=False)), found[len(places) :]


def _residual(x: dict[int, Tensor], y: Views, pairs: Pairs) -> Tensor:
    return torch.stack([mse(x[i], y[j]) for i, j in pairs]).mean(dim=0)


@dataclass(frozen=True)
class ZsN2n:
    """Three convolutions that predict the noise, 22,275 weights in colour (Mansour and Heckel, 2023).

    Convolution 3x3 from c to `width` channels, LeakyReLU 0.2, convolution 3x3, LeakyReLU 0.2,
    convolution 1x1 back to c channels; any image size. At width 48 it has 22,275 weights for three
    channels and 21,313 for one.

    Args:
        width: Channels between the convolutions.
        depth: Number of 3x3 convolutions; 2 in the paper.
        residual: True subtracts what the network predicts from the noisy image, as in the paper;
            False takes it as the denoised image.
        padding: What lies beyond the border: `zeros` as in the paper, or the image in a mirror
            (`reflect`, which needs images of at least 2x2 pixels).
    """

    width: Annotated[int, Range(1, 512)] = 48
    residual: bool = True
    padding: Literal["zeros", "reflect"] = "zeros"
    depth: Annotated[int, Range(1, 12)] = 2

    @property
    def halo(self) -> int:
        """Radius of the receptive field in pixels: one per 3x3 convolution."""
        return self.depth

    def build(self, channels: int) -> nn.Module:
        """See `n2n_ablate.Backbone.build`."""
        layers: list[nn.Module] = []
        for place in range(self.depth):
            before = self.width if place else channels
            layers += [
                nn.Conv2d(before, self.width, 3, padding=1, padding_mode=self.padding),
                nn.LeakyReLU(0.2),
            ]
        net = nn.Sequential(*layers, nn.Conv2d(self.width, channels, 1))
        return DenoisingChain(net, residual=self.residual)


@hookimpl
def register_samplers(register: Register) -> None:
    """Register the samplers of this file."""
    register("diagonal", Diagonal)
    register("edge-weighted", EdgeWeighted)


@hookimpl
def register_losses(register: Register) -> None:
    """Register the losses of this file."""
    register("residual", Residual)
    register("residual-consistency", ResidualConsistency)


@hookimpl
def register_backbones(register: Register) -> None:
    """Register the backbone of this file."""
    register("zs-n2n", ZsN2n)
