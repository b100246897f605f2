"""A noisy image that trials are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from n2n_ablate.study import Condition

if TYPE_CHECKING:  # results can be read again without torch
    from torch import Tensor

    from n2n_ablate.images import Image


@dataclass(frozen=True, eq=False)
class NoisySample:
    """One noisy image: a clean image under one condition with one seed."""

    condition: Condition
    image: Image
    seed: int
    noisy: Tensor
