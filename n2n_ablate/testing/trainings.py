"""What every training promises. Subclass `TrainingContract`, set `training`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn


class TrainingContract:
    """The promises of a training, as tests.

    Attributes:
        training: The training under test.
    """

    training: ClassVar[Any]

    def test_it_has_at_least_one_step(self) -> None:
        """The number of steps is a whole number above 0."""
        assert type(self.training.steps) is int
        assert self.training.steps > 0

    def test_every_rate_is_positive_and_finite(self) -> None:
        """Every step has a learning rate above 0."""
        steps = self.training.steps
        for step in {0, 1, steps // 3, steps // 2, steps - 1}:
            assert 0 < self.training.rate(min(step, steps - 1)) < float("inf")

    def test_the_optimiser_moves_every_weight(self) -> None:
        """One step along a gradient changes all weights that it was given."""
        layer = nn.Conv2d(1, 2, 3)
        before = [weight.detach().clone() for weight in layer.parameters()]
        optimizer = self.training.optimizer(layer.parameters())
        for group in optimizer.param_groups:
            group["lr"] = self.training.rate(0)
        loss = [(weight**2).sum() + weight.sum() for weight in layer.parameters()]
        torch.stack(loss).sum().backward()
        optimizer.step()
        for weight, old in zip(layer.parameters(), before, strict=True):
            assert (weight != old).all()

    def test_optimisers_are_independent(self) -> None:
        """Every fit has its own optimiser: a step of one leaves the weights of another alone."""
        first, second = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)
        own, other = (self.training.optimizer(layer.parameters()) for layer in (first, second))
        assert own is not other
        before = [weight.detach().clone() for weight in second.parameters()]
        first(torch.ones(1, 1, 2, 2)).sum().backward()
        own.step()
        assert all(map(torch.equal, second.parameters(), before))
