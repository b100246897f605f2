"""Estimators: the last weights, means of them, and means over turned and mirrored images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from n2n_ablate import Component, Estimator, Range, Register, Split, hookimpl


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


@dataclass(frozen=True)
class TailMean:
    """Plain mean of the weights of the last steps (SWA: Izmailov et al., 2018).

    Training itself is not changed. Until the last steps begin, curves show the present weights.

    Args:
        last: How many steps count. More than there are: all of them.
    """

    last: Annotated[int, Range(1, 100_000)] = 100

    def blend(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.blend`."""
        place = step - max(0, steps - self.last)
        return 1 / (place + 1) if place > 0 else 1.0

    def estimate(self, denoise: Split, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        return denoise(noisy)[0]


@dataclass(frozen=True)
class Flips:
    """Mean of eight denoised images: turned by quarters, mirrored or not, and turned back.

    The geometric self-ensemble of Timofte et al. (2016). Training is not changed; the result
    takes eight passes through the network instead of one.

    Args:
        estimator: Whose weights are used. In a study file a name or a table.
    """

    estimator: Annotated[Estimator, Component("estimator")] = Last()

    def blend(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.blend`."""
        return self.estimator.blend(step, steps)

    def estimate(self, denoise: Split, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        total = torch.zeros_like(noisy)
        for quarters in range(4):
            for mirrored in (False, True):
                seen = noisy.flip(-1) if mirrored else noisy
                found = self.estimator.estimate(denoise, seen.rot90(quarters, (2, 3)))
                found = found.rot90(-quarters, (2, 3))
                total += found.flip(-1) if mirrored else found
        return total / 8


@hookimpl
def register_estimators(register: Register) -> None:
    """Register the estimators of this file."""
    register("last", Last)
    register("weight-ema", WeightEma)
    register("tail-mean", TailMean)
    register("flips", Flips)
