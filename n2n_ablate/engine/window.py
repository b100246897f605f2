"""Training on crops: for images whose activations would not fit into memory.

An option of the training component (`training.crop`), so it is a part of the recipe: it is shown,
it is a factor like any other, and a result on crops never passes for one on whole images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from n2n_ablate.engine.faults import crop_of
from n2n_ablate.engine.fit import Fit

_STREAM = 0x63726F70  # apart from the stream of the initial weights, which has the same seed


def window_of(fit: Fit) -> tuple[int, int]:
    """Return height and width in pixels of what a step of the fit trains on."""
    h, w = fit.noisy.shape[-2:]
    crop = crop_of(fit.training)
    return (min(h, crop), min(w, crop)) if crop else (h, w)


class Windows:
    """Where in its image each fit of a stack trains; another one in every step."""

    def __init__(self, fits: Sequence[Fit], noisy: Tensor) -> None:
        self._noisy = noisy
        self._size = window_of(fits[0])
        self.moving = self._size != tuple(noisy.shape[-2:])
        self._rngs = [torch.Generator().manual_seed(fit.init_seed ^ _STREAM) for fit in fits]

    def first(self) -> Tensor:
        """Return the whole images, or a window of each for whoever needs one before the first step."""
        return self._noisy[..., : self._size[0], : self._size[1]] if self.moving else self._noisy

    def next(self) -> Tensor:
        """Return the windows of the next step, (b, c, h', w')."""
        cut = [self._cut(index, rng) for index, rng in enumerate(self._rngs)]
        return torch.cat(cut).contiguous(memory_format=torch.channels_last)

    def _cut(self, index: int, rng: torch.Generator) -> Tensor:
        height, width = self._size
        rests = (self._noisy.shape[-2] - height, self._noisy.shape[-1] - width)
        top, left = (int(torch.randint(rest + 1, (1,), generator=rng)) for rest in rests)
        return self._noisy[index : index + 1, :, top : top + height, left : left + width]
