"""The splits of a stack: one sampler and one stream of randomness per fit, cut together if possible."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from n2n_ablate.components import Sampler, Split, Views, at_step, declares, is_fixed


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
        self._cut = together([split for _, split in self._splits], self.noisy.device)
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
        splits = [self._draw(index, sampler) for index, sampler in enumerate(samplers)]
        return together(splits, self.noisy.device)

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


def together(splits: Sequence[Split], device: torch.device) -> Split:
    """Return one function that cuts image i of a stack with split i.

    On a GPU a lone split too: what it holds on the CPU is then moved once, not at every cut.
    """
    kind = type(splits[0])
    stacked = getattr(kind, "stacked", None)
    if len(splits) == 1 and (stacked is None or device.type == "cpu"):
        return splits[0]
    if stacked is not None and all(type(split) is kind for split in splits):
        joint: Split | None = stacked(splits)
        if joint is not None:
            return joint

    def cut(image: Tensor) -> Views:
        each = [split(image[index : index + 1]) for index, split in enumerate(splits)]
        return tuple(torch.cat(views) for views in zip(*each, strict=True))

    return cut


def _layout(image: Tensor) -> torch.memory_format:
    last = image.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
