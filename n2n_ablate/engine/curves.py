"""The curves of a stack, kept on the device until the end, and the results made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from n2n_ablate.components import declared
from n2n_ablate.engine.faults import measured, steps_of
from n2n_ablate.engine.fit import Fit
from n2n_ablate.records import FitResult, Point
from n2n_ablate.records.fit import Listener

POINTS = 30
"""Points of every curve, evenly spaced; the last is the end of the training."""

_EXPLODED = 1e4  # images lie around [0, 1], so a loss of 1e4 never comes back


def points_of(steps: int, points: int = POINTS) -> list[int]:
    """Return the steps, counted from 1, at which curves have a point."""
    count = min(points, steps)
    return [round(steps * (index + 1) / count) for index in range(count)]


class Curves:
    """Loss and metrics of every fit at a fixed number of steps.

    Args:
        clean: The clean images (b, c, h, w), None if they are not known.
        noisy: The noisy images (b, c, h, w).
        listener: Told every point; on a GPU that costs a wait.
    """

    def __init__(
        self,
        fits: Sequence[Fit],
        points: int,
        clean: Tensor | None,
        noisy: Tensor,
        listener: Listener | None,
    ) -> None:
        self.steps = steps_of(fits[0].training)
        self.at = frozenset(points_of(self.steps, points))
        self._fits = fits
        self._clean = clean
        self._noisy = noisy
        self._listener = listener
        self._steps: list[int] = []
        self._values: dict[str, list[Tensor]] = {"loss": []}
        self._denoised: Tensor | None = None

    def add(self, step: int, loss: Tensor, denoised: Tensor) -> None:
        """Add a point after `step`: the losses (b,) and the denoised images (b, c, h, w)."""
        self._steps.append(step)
        self._denoised = denoised
        # A recorded step writes every loss to the same address.
        self._values["loss"].append(loss.detach().clone())
        if self._clean is not None:
            for name, metric in self._fits[0].metrics.items():
                if step < self.steps and declared(metric, "at_end", False):
                    continue
                value = measured(metric, name, denoised, self._clean, self._noisy)
                self._values.setdefault(name, []).append(value)
        if self._listener is not None:
            latest = {name: values[-1].tolist() for name, values in self._values.items()}
            for index, fit in enumerate(self._fits):
                values_of_fit = {name: values[index] for name, values in latest.items()}
                self._listener(Point(fit.key, step, self.steps, values_of_fit))

    def all_diverged(self) -> bool:
        """Say whether every fit has diverged. Looks only at stacks of one: that costs no wait."""
        if len(self._fits) > 1 or self._values["loss"][-1].device.type != "cpu":
            return False
        return bool(_bad(self._values["loss"][-1]).all())

    def results(self, seconds: float, beside: Mapping[str, Tensor]) -> list[FitResult]:
        """Return one result per fit.

        `beside`: figures without a curve, by name: one number per fit, shape (b,).
        """
        more = {name: values.tolist() for name, values in beside.items()}
        curves = {
            name: torch.stack(values).float().cpu().numpy() for name, values in self._values.items()
        }
        bad = _bad(torch.stack(self._values["loss"])).cpu().numpy()
        assert self._denoised is not None, "the end of the training is a point"
        images = self._denoised.float().cpu()
        results = []
        for index, fit in enumerate(self._fits):
            failure = ""
            if bad[:, index].any() or not bool(torch.isfinite(images[index]).all()):
                worst = int(bad[:, index].argmax()) if bad[:, index].any() else -1
                failure = f"diverged by step {self._steps[worst]}"
            finals = {name: float(values[-1, index]) for name, values in curves.items()}
            fit_curves = {
                name: values[:, index]
                for name, values in curves.items()
                if len(values) == len(self._steps)  # else it was measured at the end only
            }
            results.append(
                FitResult(
                    key=fit.key,
                    figures={
                        **finals,
                        **{name: values[index] for name, values in more.items()},
                    },
                    steps=np.array(self._steps, dtype=np.int32),
                    curves=fit_curves,
                    denoised=None if failure else _kept(images[index], unclipped=fit.unclipped),
                    seconds=seconds / len(self._fits),
                    failure=failure,
                )
            )
        return results


def _bad(loss: Tensor) -> Tensor:
    return ~torch.isfinite(loss) | (loss.abs() > _EXPLODED)


def _kept(image: Tensor, *, unclipped: bool) -> np.ndarray:
    if unclipped:
        return np.array(image.float().numpy())
    return np.rint(image.clamp(0, 1).double().numpy() * 65535).astype(np.uint16)
