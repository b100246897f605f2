"""Estimators: the last weights, means of them or over turned images, and early stopping."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from n2n_ablate import (
    CheckpointSelector,
    Component,
    Estimator,
    Range,
    Register,
    Split,
    arguments_for,
    hookimpl,
)


@dataclass(frozen=True)
class Last:
    """The weights after the last step (Mansour and Heckel, 2023)."""

    def averaging_weight(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.averaging_weight`."""
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

    def averaging_weight(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.averaging_weight`."""
        # 1 / (step + 1) is the plain mean so far; at step 0 it drops the initial weights.
        return max(1 - self.decay, 1 / (step + 1))

    def estimate(self, denoise: Split, noisy: Tensor) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        return denoise(noisy)[0]


@dataclass(frozen=True)
class TailMean:
    """Plain mean of the weights of the last steps (SWA: Izmailov et al., 2018).

    Training itself is not changed. Until the last steps begin, curves show the present weights.
    Noise2Fast (Lequyer et al., 2022) keeps the last *images* and takes their mean instead, which
    costs a pass through the network at every step and memory for every image. To first order in
    how far the weights still move the two are the same.

    Args:
        last: How many steps count. More than there are: all of them.
    """

    last: Annotated[int, Range(1, 100_000)] = 100

    def averaging_weight(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.averaging_weight`."""
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

    def averaging_weight(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.averaging_weight`."""
        return self.estimator.averaging_weight(step, steps)

    def checkpoint_selector(self, steps: int) -> CheckpointSelector | None:
        """See `n2n_ablate.Estimator`; that of the inner estimator, if it has one."""
        inner = getattr(self.estimator, "checkpoint_selector", None)
        return inner(steps) if inner is not None else None

    @property
    def dropout(self) -> bool:
        """See `n2n_ablate.Estimator`; that of the inner estimator."""
        return getattr(self.estimator, "dropout", False)

    def estimate(self, denoise: Split, noisy: Tensor, **more: Any) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        inner = self.estimator.estimate
        more = arguments_for(inner, **more)
        total = torch.zeros_like(noisy)
        for quarters in range(4):
            for mirrored in (False, True):
                seen = noisy.flip(-1) if mirrored else noisy
                found = inner(denoise, seen.rot90(quarters, (2, 3)), **more)
                found = found.rot90(-quarters, (2, 3))
                total += found.flip(-1) if mirrored else found
        return total / 8


@dataclass(frozen=True)
class WindowedVariance:
    """Early stopping without a clean image: the weights where the output moved least.

    Windowed moving variance of the denoised image, of Wang et al. (2023, "Early Stopping for
    Deep Image Prior"): the variance over the last looks, mean over pixels. It is high while the image
    forms, low where it is done, and rises again when noise is learned. The result is that at the
    end of the window with the least variance; once `patience` steps have brought no lower one, it
    is settled. Made for a constant learning rate: where the rate falls, images move less for that
    reason alone, and the end may win (`training.decay = 1.0` keeps the rate).

    Training itself is not changed and goes on to the end. The step is recorded as `chosen_step`.

    Args:
        window: Steps that a window spans.
        patience: Steps without a lower variance after which nothing is chosen any more.
        interval: Steps between two looks. Each look takes a pass through the network.
        estimator: Whose images are looked at. In a study file a name or a table.
    """

    window: Annotated[int, Range(2, 100_000)] = 100
    patience: Annotated[int, Range(1, 1_000_000)] = 1000
    interval: Annotated[int, Range(1, 10_000)] = 10
    estimator: Annotated[Estimator, Component("estimator")] = Last()

    def averaging_weight(self, step: int, steps: int) -> float:
        """See `n2n_ablate.Estimator.averaging_weight`."""
        return self.estimator.averaging_weight(step, steps)

    @property
    def dropout(self) -> bool:
        """See `n2n_ablate.Estimator`; that of the inner estimator."""
        return getattr(self.estimator, "dropout", False)

    def estimate(self, denoise: Split, noisy: Tensor, **more: Any) -> Tensor:
        """See `n2n_ablate.Estimator.estimate`."""
        inner = self.estimator.estimate
        return inner(denoise, noisy, **arguments_for(inner, **more))

    def checkpoint_selector(self, steps: int) -> CheckpointSelector:
        """See `n2n_ablate.Estimator`."""
        return _LeastVariance(max(2, self.window // self.interval), self.patience, self.interval)


class _LeastVariance:
    def __init__(self, looks: int, patience: int, interval: int) -> None:
        self.interval = interval
        self._patience = patience
        self._seen: deque[Tensor] = deque(maxlen=looks)
        self._least: Tensor | None = None
        self._at: Tensor | None = None

    def update(self, step: int, denoised: Tensor) -> Tensor:
        """See `n2n_ablate.CheckpointSelector.update`."""
        self._seen.append(denoised.detach().float().clone())
        if self._least is None or self._at is None:
            self._least = torch.full_like(denoised[:, 0, 0, 0], torch.inf, dtype=torch.float32)
            self._at = torch.zeros_like(self._least)
        if len(self._seen) < (self._seen.maxlen or 0):
            self._at = torch.full_like(self._at, step)
            return torch.ones_like(self._at, dtype=torch.bool)  # no window yet: the newest
        variance = _variance(list(self._seen))
        # The first window is always chosen, however short the patience: until then there is none.
        patient = self._least.isinf() | (step - self._at <= self._patience)
        lower = (variance < self._least) & patient
        self._least = torch.where(lower, variance, self._least)
        self._at = torch.where(lower, float(step), self._at)
        return lower


def _variance(images: Sequence[Tensor]) -> Tensor:
    """Return the variance over images (b, c, h, w) at each pixel, mean over pixels: (b,)."""
    mean = sum(images[1:], images[0]) / len(images)
    total = torch.zeros_like(mean)
    for image in images:
        total += (image - mean).square()
    return total.mean(dim=(1, 2, 3)) / len(images)


@hookimpl
def register_estimators(register: Register) -> None:
    """Register the estimators of this file."""
    register("last", Last)
    register("weight-ema", WeightEma)
    register("tail-mean", TailMean)
    register("flips", Flips)
    register("windowed-variance", WindowedVariance)
