"""The splits of a stack: one sampler and one stream of randomness per fit, cut together if possible."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from n2n_ablate.components import Sampler, Split, Views, at_step, declares, is_fixed
from n2n_ablate.components.splits import KernelSplit


class Draws:
    """What the samplers of a stack drew for the present step.

    Fixed samplers draw once, and the views of the noisy images are then computed once.

    Attributes:
        noisy: The images of this step, (b, c, h, w).
        fixed: True if every step has the same splits.
    """

    def __init__(
        self,
        samplers: Sequence[Sampler],
        noisy: Tensor,
        rngs: Sequence[torch.Generator],
        steps: int,
    ) -> None:
        self._samplers = samplers
        self.noisy = noisy
        self._rngs = rngs
        self._steps = steps
        self._scheduled = any(declares(sampler, "at") for sampler in samplers)
        self.fixed = not self._scheduled and all(map(is_fixed, samplers))
        self._splits: list[tuple[Sampler, Split]] = []
        self._cut: Split | None = None
        self._of_noisy: Views | None = None

    def look_at(self, noisy: Tensor) -> None:
        """Go on with other images of the same shape."""
        self.noisy = noisy
        self._of_noisy = None

    def advance(self, step: int) -> None:
        """Draw what has to be drawn for `step`, counted from 0."""
        if self._splits and self.fixed:
            return
        before = dict(enumerate(self._splits))
        self._splits = [
            self._next(index, step, before.get(index)) for index in range(len(self._rngs))
        ]
        self._cut = together([split for _, split in self._splits])
        self._of_noisy = None

    def views(self, image: Tensor) -> Views:
        """Cut images (b, c, h, w) with the splits of this step."""
        assert self._cut is not None, "advance comes first"
        if image is not self.noisy:
            return self._cut(image)
        if self._of_noisy is None:
            with torch.no_grad():
                cut = self._cut(image)
            self._of_noisy = tuple(view.contiguous(memory_format=_layout(image)) for view in cut)
        return self._of_noisy

    def resample(self) -> Split:
        """Draw once more and return the new cut; the splits of this step stay as they are."""
        samplers = [sampler for sampler, _ in self._splits]
        return together([self._draw(index, sampler) for index, sampler in enumerate(samplers)])

    def _next(
        self, index: int, step: int, before: tuple[Sampler, Split] | None
    ) -> tuple[Sampler, Split]:
        sampler = self._samplers[index]
        sampler = at_step(sampler, step, self._steps)
        if before is not None and is_fixed(sampler) and before[0] == sampler:
            return before
        return sampler, self._draw(index, sampler)

    def _draw(self, index: int, sampler: Sampler) -> Split:
        return sampler.draw(self.noisy[index : index + 1], self._rngs[index])


def together(splits: Sequence[Split]) -> Split:
    """Return one function that cuts image i of a stack with split i."""
    if len(splits) == 1:
        return splits[0]
    linear = [split for split in splits if isinstance(split, KernelSplit)]
    shapes = {(split.kernels.shape, split.stride) for split in linear}
    if len(linear) == len(splits) and len(shapes) == 1:
        return _kernels_together(linear)

    def cut(image: Tensor) -> Views:
        each = [split(image[index : index + 1]) for index, split in enumerate(splits)]
        return tuple(torch.cat(views) for views in zip(*each, strict=True))

    return cut


def _kernels_together(splits: Sequence[KernelSplit]) -> Split:
    count = len(splits[0].kernels)
    stride = splits[0].stride
    kernels = torch.stack([split.kernels for split in splits])  # (b, views, k, k)

    def cut(image: Tensor) -> Views:
        b, c, h, w = image.shape
        weight = kernels.unsqueeze(1).expand(-1, c, -1, -1, -1).flatten(0, 2).unsqueeze(1)
        flat = image.reshape(1, b * c, h, w)
        out = conv2d(flat, weight.to(image.dtype), stride=stride, groups=b * c)
        return out[0].unflatten(0, (b, c, count)).unbind(2)

    return cut


def _layout(image: Tensor) -> torch.memory_format:
    last = image.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
