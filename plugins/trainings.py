"""Trainings: Adam with a stepwise falling learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import nn

from n2n_ablate import Range, Register, hookimpl


@dataclass(frozen=True)
class Adam:
    """Adam whose learning rate falls in equal stages (preset of Mansour and Heckel, 2023).

    The defaults are the official preset: 3000 steps at 0.001, halved after every 1000.

    Args:
        lr: Learning rate of the first stage.
        steps: Number of steps.
        period: Length of a stage as a share of the steps, rounded to whole steps, at least one.
        decay: What the learning rate is multiplied by after each stage; 1 keeps it.
        crop: Side in pixels of the square that each step trains on, cut from another place in every
            step; 0 trains on the whole image. For images that are too large for the memory.
    """

    lr: Annotated[float, Range(1e-6, 0.1, log=True)] = 1e-3
    steps: Annotated[int, Range(1, 100_000)] = 3000
    period: Annotated[float, Range(0.01, 1)] = 1 / 3
    decay: Annotated[float, Range(0.01, 1)] = 0.5
    crop: Annotated[int, Range(0, 16_384)] = 0

    elementwise: ClassVar[bool] = True

    def optimizer(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """See `n2n_ablate.Training.optimizer`."""
        # Fused: one kernel updates all weights. These networks are so small that calls would dominate.
        return torch.optim.Adam(weights, lr=self.lr, fused=True)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate for step `step`, counted from 0."""
        stage = max(1, round(self.period * self.steps))
        rate: float = self.lr * self.decay ** (step // stage)
        return rate


@hookimpl
def register_trainings(register: Register) -> None:
    """Register the training of this file."""
    register("adam", Adam)
