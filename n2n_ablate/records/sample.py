"""A noisy image that trials are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that a finished study can be opened without torch
    from torch import Tensor

    from n2n_ablate.images import Image
    from n2n_ablate.study import Condition


@dataclass(frozen=True, eq=False)
class NoisySample:
    """One noisy image: a clean image under one condition with one seed.

    Attributes:
        condition: The noise.
        image: The clean image, or the reference of measured noise.
        seed: Chooses the noise: its random numbers, or which shot of measured noise it is.
        noisy: The noisy image, (1, c, h, w).
        shots: All shots of the scene, of measured noise; else empty.
    """

    condition: Condition
    image: Image
    seed: int
    noisy: Tensor
    shots: tuple[Tensor, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Hash of the noisy pixels, see `Image.digest`."""
        from n2n_ablate.images.image import digest_of

        return digest_of(self.noisy)
