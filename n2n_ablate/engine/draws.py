"""The splits of a stack: one sampler and one stream of randomness per fit, cut together if possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from n2n_ablate.components import (
    Sampler,
    Split,
    Views,
    at_step,
    declared,
    declares,
    is_drawn_once,
    mask_of,
    pairs_of,
)


class Draws:
    """What the samplers of a stack drew for the present step.

    Samplers that are fixed, or that one draw serves, draw once, and the views of the noisy images are
    then computed once.

    Attributes:
        noisy: The images of this step, (b, c, h, w).
        fixed: True if every step has the same splits.
        replaces_input: Whether the networks get something else in place of the noisy images.
        mask: Where this step's splits hide pixels, (b, 1, h', w') on the device of the images, or None.
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
        self.fixed = not self._scheduled and all(map(is_drawn_once, samplers))
        self.mask: Tensor | None = None
        self.replaces_input = bool(declared(samplers[0], "replaces_input", False))
        self._splits: list[tuple[Sampler, Split]] = []
        self._cut: Cut | None = None
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
        cut = self._together([split for _, split in self._splits])
        self._cut, self.mask = cut, cut.mask
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

    @property
    def input(self) -> Tensor:
        """What the networks get in place of the noisy images: these, unless a sampler replaces them."""
        if not self.replaces_input:
            return self.noisy
        return self.views(self.noisy)[pairs_of(self._samplers[0])[0][0]]

    def resample(self) -> Split:
        """Draw once more and return the new cut; the splits of this step stay as they are."""
        return self.draw(self.noisy, self._rngs)

    def draw(self, images: Tensor, rngs: Sequence[torch.Generator]) -> Split:
        """Draw for images (b, c, h, w), with the samplers of this step and other generators."""
        splits = [
            split
            if is_drawn_once(sampler) and images.shape == self.noisy.shape
            else sampler.draw(images[index : index + 1], rngs[index])
            for index, (sampler, split) in enumerate(self._splits)
        ]
        return self._together(splits)

    def _next(
        self, index: int, step: int, before: tuple[Sampler, Split] | None
    ) -> tuple[Sampler, Split]:
        sampler = self._samplers[index]
        sampler = at_step(sampler, step, self._steps)
        if before is not None and is_drawn_once(sampler) and before[0] == sampler:
            return before
        return sampler, sampler.draw(self.noisy[index : index + 1], self._rngs[index])

    def _together(self, splits: Sequence[Split]) -> Cut:
        masks = [mask for split in splits if (mask := mask_of(split)) is not None]
        mask = torch.cat(masks).to(self.noisy.device) if len(masks) == len(splits) else None
        return Cut(together(splits, self.noisy.device), mask)


@dataclass(frozen=True, eq=False)
class Cut:
    """What cuts all images of a stack, and where it hides pixels: (b, 1, h', w'), or None."""

    cut: Split
    mask: Tensor | None

    def __call__(self, image: Tensor) -> Views:
        """Cut images (b, c, h, w) into views."""
        return self.cut(image)


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
