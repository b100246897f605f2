"""What every training promises. Subclass `TrainingContract`, set `training`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from n2n_ablate.components import declared
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.gpu import on_gpu
from n2n_ablate.testing.promise import alike, farthest, require, rng


class TrainingContract(Contract):
    """The promises of a training, as tests.

    Attributes:
        training: The training under test.
    """

    kind = "training"
    training: ClassVar[Any]

    def test_it_has_at_least_one_step(self) -> None:
        """The number of steps is a whole number above 0."""
        steps = self.training.steps
        require(type(steps) is int and steps > 0, f"steps is {steps!r}")

    def test_crop_is_a_side(self) -> None:
        """Who declares `crop` says 0, or a whole number of pixels."""
        crop = declared(self.training, "crop", 0)
        require(type(crop) is int and crop >= 0, f"crop is {crop!r}")

    def test_every_rate_is_positive_and_finite(self) -> None:
        """Every step has a learning rate above 0."""
        steps = max(1, int(self.training.steps))
        for step in sorted({0, min(1, steps - 1), steps // 3, steps // 2, steps - 1}):
            rate = self.training.learning_rate(step)
            require(0 < rate < float("inf"), f"a rate of {rate} at step {step} of {steps}")

    def test_the_optimiser_moves_every_weight(self) -> None:
        """One step along a gradient changes all weights that it was given."""
        layer = nn.Conv2d(1, 2, 3)
        before = [weight.detach().clone() for weight in layer.parameters()]
        optimizer = self._ready(layer.parameters())
        loss = [(weight**2).sum() + weight.sum() for weight in layer.parameters()]
        torch.stack(loss).sum().backward()
        optimizer.step()
        for weight, old in zip(layer.parameters(), before, strict=True):
            still = int((weight == old).sum())
            require(not still, f"{still} of {old.numel()} weights of one layer did not move")

    def test_optimisers_are_independent(self) -> None:
        """Every fit has another optimiser: a step of one leaves the weights of another alone."""
        first, second = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)
        one, other = (self.training.optimizer(layer.parameters()) for layer in (first, second))
        require(one is not other, "two fits were given one optimiser")
        before = [weight.detach().clone() for weight in second.parameters()]
        first(torch.ones(1, 1, 2, 2)).sum().backward()
        one.step()
        still = all(map(alike, second.parameters(), before))
        require(still, "a step of one fit moved the weights of another")

    def test_elementwise_is_true(self) -> None:
        """Who declares `elementwise` moves two sets of weights together as each of them alone."""
        if declared(self.training, "elementwise", False):
            together = self._trained(0, 1)
            alone = (*self._trained(0), *self._trained(1))
            far = max(map(farthest, together, alone))
            require(far < 1e-7, f"elementwise = True, but together weights end {far:.3g} elsewhere")

    def test_same_gradients_same_steps(self) -> None:
        """Weights move by their gradients alone: no randomness, no memory of other fits."""
        self.require_function(
            "where the weights end changes", lambda: self._trained(0), lambda: self._trained(1)
        )

    def test_what_all_share_is_left_alone(self) -> None:
        """Training changes nothing that all share: no global generator, no setting of torch."""
        self.require_harmless(lambda: self._trained(0))

    def test_it_runs_on_a_gpu(self) -> None:
        """Weights on a GPU are moved there."""

        def work(device: torch.device) -> None:
            weight = nn.Parameter(torch.ones(8, device=device))
            weight.grad = torch.ones_like(weight)
            self._ready([weight]).step()

        on_gpu(work)

    def _ready(self, weights: Any) -> torch.optim.Optimizer:
        optimizer: torch.optim.Optimizer = self.training.optimizer(weights)
        for group in optimizer.param_groups:
            group["lr"] = self.training.learning_rate(0)
        return optimizer

    def _trained(self, *seeds: int) -> tuple[Tensor, ...]:
        weights = [nn.Parameter(torch.randn(8, generator=rng(seed))) for seed in seeds]
        optimizer = self._ready(weights)
        for _ in range(3):
            optimizer.zero_grad()
            # Of very different size, so that whoever looks at a norm over both fails.
            loss = [
                10.0**seed * (weight**3).sum() for weight, seed in zip(weights, seeds, strict=True)
            ]
            torch.stack(loss).sum().backward()
            optimizer.step()
        return tuple(weight.detach() for weight in weights)
