"""Early stopping in a stack: every fit trains to the end, and keeps the weights its watch chose."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from n2n_ablate.components import Estimator, Watch, declared
from n2n_ablate.engine.faults import WATCH

CHOSEN_STEP = "chosen_step"
"""Name of the figure that says after which step the chosen weights were."""


class Watching:
    """What a watch chose so far. Nothing here waits for the device.

    Args:
        watch: Of the stack's estimator.
        weights: Of all fits, one row each; copied.
    """

    def __init__(self, watch: Watch, weights: Tensor) -> None:
        self._watch = watch
        self.weights = weights.detach().clone()
        self.steps = torch.zeros(len(weights), device=weights.device)

    @classmethod
    def of(cls, estimator: Estimator, steps: int, weights: Tensor) -> Watching | None:
        """Return the watching that an estimator asks for, None if it does not."""
        with WATCH:
            watch = declared(estimator, "watch")
            found = watch(steps) if watch is not None else None
        if found is None:
            return None
        if not callable(getattr(found, "see", None)) or not isinstance(found.every, int):
            seen = (
                f"must return a watch with `every` and `see` from watch, or None, got {found!r:.80}"
            )
            raise WATCH.fault(seen)
        return cls(found, weights)

    def due(self, step: int, steps: int) -> bool:
        """Say whether to look after `step`, counted from 1: at the watch's pace, and at the end."""
        return step % max(1, self._watch.every) == 0 or step == steps

    def look(self, step: int, denoised: Callable[[], Tensor], weights: Tensor) -> None:
        """Show the watch the denoised images (b, c, h, w) after `step`; keep what it wants kept.

        Raises:
            FaultError: The watch did not answer for each fit.
        """
        images = denoised()
        with WATCH:
            keep: object = self._watch.see(step, images)
        shape = self.steps.shape
        if not isinstance(keep, Tensor) or keep.shape != shape or keep.dtype != torch.bool:
            seen = f"has a watch that must return one truth value per fit, shape {tuple(shape)}, got {keep!r:.80}"
            raise WATCH.fault(seen)
        self.weights = torch.where(keep[:, None], weights.detach(), self.weights)
        self.steps = torch.where(keep, float(step), self.steps)
