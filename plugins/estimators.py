"""Estimators: the last weights, or a running mean of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from n2n_ablate import Range, Register, Split, hookimpl


@dataclass(frozen=True)
class Last:
    """The weights after the last step (Mansour and Heckel, 2023)."""

    def blend(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.blend`."""
        return 1.0

    def estimate(self, denoise: Split, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        return denoise(noisy)[0]


@dataclass(frozen=True)
class WeightEma:
    """Exponential moving average of the weights over the steps (after Polyak and Juditsky, 1992).

    Training itself is not changed. The first steps are averaged evenly until the window is full,
    so the random initial weights never count.

    Args:
        decay: What the average keeps at each step; it looks back over about 1 / (1 - decay) steps.
    """

    decay: Annotated[float, Range(0, 0.9999)] = 0.99

    def blend(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.blend`."""
        # 1 / (step + 1) is the plain mean so far; at step 0 it drops the initial weights.
        return max(1 - self.decay, 1 / (step + 1))

    def estimate(self, denoise: Split, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        return denoise(noisy)[0]


@hookimpl
def register_estimators(register: Register) -> None:
    """Register the estimators of this file."""
    register("last", Last)
    register("weight-ema", WeightEma)
