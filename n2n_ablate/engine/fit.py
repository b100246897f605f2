"""What goes into training. A plain record; nothing here computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from n2n_ablate.components import (
    Backbone,
    Estimator,
    Loss,
    MeasuredNoise,
    Metric,
    Noise,
    Sampler,
    Training,
)

if TYPE_CHECKING:
    from n2n_ablate.engine.fit_spec import FitSpec


@dataclass(frozen=True, eq=False)
class Fit:
    """One recipe on one noisy image with one seed: the unit of work, of storage and of failure.

    Attributes:
        key: Its identity, see `identity.Fingerprints.fit_key`.
        noisy: The noisy image, float32 (1, c, h, w), on the CPU.
        clean: The clean image, same shape; only metrics see it. None for a real noisy image.
        noise: The noise model that made `noisy`, or more shots of the scene, if there are any.
        sampler, backbone, loss, training, estimator: The recipe's components.
        metrics: By name.
        init_seed: Seeds the initial weights.
        rng: Makes the sampler's generator, at the start of its stream.
        stack_key: Fits of equal `stack_key` may be trained in one stack, if their shapes agree too.
        unclipped: Keep the denoised image as float32, values outside [0, 1] too.
        spec: What it was made from, so that another process can make it; None if nobody asked.
    """

    key: str
    noisy: Tensor
    clean: Tensor | None
    noise: Noise | MeasuredNoise | None
    sampler: Sampler
    backbone: Backbone
    loss: Loss
    training: Training
    estimator: Estimator
    metrics: Mapping[str, Metric]
    init_seed: int
    rng: Callable[[], torch.Generator]
    stack_key: str = ""
    spec: FitSpec | None = None
    unclipped: bool = False

    @property
    def shots(self) -> tuple[Tensor, ...]:
        """Other shots of the scene that the sampler sees."""
        return self.noise.shots if isinstance(self.noise, MeasuredNoise) else ()
