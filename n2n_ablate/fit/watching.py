"""Early stopping in a stack: every fit trains to the end, and keeps the weights its watch chose."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from n2n_ablate.components import Estimator, Watch
from n2n_ablate.errors import PluginError

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
        watch = getattr(estimator, "watch", None)
        found = watch(steps) if watch is not None else None
        return None if found is None else cls(found, weights)

    def due(self, step: int, steps: int) -> bool:
        """Say whether to look after `step`, counted from 1: at the watch's pace, and at the end."""
        return step % max(1, self._watch.every) == 0 or step == steps

    def look(self, step: int, denoised: Callable[[], Tensor], weights: Tensor) -> None:
        """Show the watch the denoised images (b, c, h, w) after `step`; keep what it wants kept.

        Raises:
            PluginError: The watch did not answer for each fit.
        """
        keep = self._watch.see(step, denoised())
        if keep.shape != self.steps.shape or keep.dtype != torch.bool:
            msg = f"a watch must return one truth value per fit, shape ({len(self.steps)},), got {keep!r:.80}"
            raise PluginError(msg)
        self.weights = torch.where(keep[:, None], weights.detach(), self.weights)
        self.steps = torch.where(keep, float(step), self.steps)
