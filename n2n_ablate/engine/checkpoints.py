"""Early stopping in a stack: every fit trains to the end, and keeps the weights that were chosen for it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from n2n_ablate.components import CheckpointSelector, Estimator, declared
from n2n_ablate.engine.faults import SELECTOR

CHOSEN_STEP = "chosen_step"
"""Name of the figure that says after which step the chosen weights were."""


class KeptCheckpoints:
    """The weights that a checkpoint selector chose so far. Nothing here waits for the device.

    Args:
        selector: Of the stack's estimator.
        weights: Of all fits, one row each; copied.
    """

    def __init__(self, selector: CheckpointSelector, weights: Tensor) -> None:
        self._selector = selector
        self.weights = weights.detach().clone()
        self.steps = torch.zeros(len(weights), device=weights.device)

    @classmethod
    def of(cls, estimator: Estimator, steps: int, weights: Tensor) -> KeptCheckpoints | None:
        """Return what an estimator that stops early asks for, None for the others."""
        with SELECTOR:
            make = declared(estimator, "checkpoint_selector")
            selector = make(steps) if make is not None else None
        if selector is None:
            return None
        if not callable(getattr(selector, "update", None)) or not isinstance(
            selector.interval, int
        ):
            problem = f"must return a selector with `interval` and `update` from checkpoint_selector, or None, got {selector!r:.80}"
            raise SELECTOR.fault(problem)
        return cls(selector, weights)

    def due(self, step: int, steps: int) -> bool:
        """Say whether to look after `step`, counted from 1: at the selector's pace, and at the end."""
        return step % max(1, self._selector.interval) == 0 or step == steps

    def look(self, step: int, denoised: Callable[[], Tensor], weights: Tensor) -> None:
        """Show the selector the denoised images (b, c, h, w) after `step`; keep what it wants kept."""
        images = denoised()
        with SELECTOR:
            keep: object = self._selector.update(step, images)
        shape = self.steps.shape
        if not isinstance(keep, Tensor) or keep.shape != shape or keep.dtype != torch.bool:
            problem = f"has a checkpoint selector that must return one truth value per fit, shape {tuple(shape)}, got {keep!r:.80}"
            raise SELECTOR.fault(problem)
        self.weights = torch.where(keep[:, None], weights.detach(), self.weights)
        self.steps = torch.where(keep, float(step), self.steps)
