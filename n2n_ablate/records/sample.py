"""A noisy image that trials are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that a finished study can be opened without torch
    from torch import Tensor

    from n2n_ablate.images import Image
    from n2n_ablate.study import Condition


@dataclass(frozen=True, eq=False)
class NoisySample:
    """One noisy image: a clean image under one condition with one seed."""

    condition: Condition
    image: Image
    seed: int
    noisy: Tensor
