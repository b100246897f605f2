"""The weights of a stack as one tensor, a row per fit, and the optimisers that move them.

One leaf instead of a handful per fit: a step then casts, updates and averages weights in one
operation each. On small images those many small operations cost more than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from n2n_ablate.components import Training, declared
from n2n_ablate.engine.faults import OPTIMIZER, rate_of


@dataclass(frozen=True)
class _Slot:
    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Packing:
    """Where each trained weight of one architecture lies in a row of n numbers.

    The kernels of 2-D convolutions are stored channels last, as the fast kernels want them.
    """

    def __init__(self, module: nn.Module) -> None:
        trained = [(name, w) for name, w in module.named_parameters() if w.requires_grad]
        self.slots = [_Slot(name, tuple(weight.shape)) for name, weight in trained]
        self.sizes = [slot.size for slot in self.slots]

    def pack(self, modules: Sequence[nn.Module]) -> Tensor:
        """Copy the weights of b modules into one float32 tensor (b, n)."""
        rows = []
        for module in modules:
            parameters = dict(module.named_parameters())
            weights = (parameters[slot.name].detach().float() for slot in self.slots)
            rows.append(torch.cat([_last(weight).flatten() for weight in weights]))
        return torch.stack(rows)

    def views(self, row: Tensor) -> list[Tensor]:
        """Return the weights of one fit, each in its shape, as views of its row (n,)."""
        parts = row.split(self.sizes)
        return [_shaped(part, slot.shape) for part, slot in zip(parts, self.slots, strict=True)]

    def unpack(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the weights of all fits by name, each (b, *shape), as views of the rows (b, n)."""
        parts = rows.split(self.sizes, dim=1)
        return {
            slot.name: _shaped(part, slot.shape)
            for part, slot in zip(parts, self.slots, strict=True)
        }


def _last(weight: Tensor) -> Tensor:
    return weight.permute(0, 2, 3, 1) if weight.dim() == 4 else weight


def _shaped(flat: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Undo `_last` and the flattening: (..., size) to (..., *shape)."""
    if len(shape) != 4:
        return flat.reshape(*flat.shape[:-1], *shape)
    outputs, inputs, height, width = shape
    return flat.unflatten(-1, (outputs, height, width, inputs)).movedim(-1, -3)


class Optimizers:
    """The optimisers of a stack, and the gradient that they read.

    A training that declares `elementwise` moves every weight by itself, so one optimiser may hold
    many fits at once. Any other gets the weights of one fit in their shapes.

    Args:
        weights: The stack's weights (b, n), a leaf that requires a gradient.
        on_device: Keep the learning rate on the device, where a recorded step can read it.
    """

    def __init__(
        self,
        trainings: Sequence[Training],
        weights: nn.Parameter,
        packing: Packing,
        *,
        on_device: bool = False,
    ) -> None:
        self._weights = weights
        alike = [bool(declared(training, "elementwise", False)) for training in trainings]
        self._whole = all(alike) and all(training == trainings[0] for training in trainings)
        self._static = on_device or not self._whole
        if self._static:
            weights.grad = torch.zeros_like(weights)
        if self._whole:
            self._all = [(trainings[0], _optimizer(trainings[0], [weights]))]
        else:
            self._all = [
                (training, _optimizer(training, self._own(index, packing, whole=alike[index])))
                for index, training in enumerate(trainings)
            ]
        if on_device:
            for _, one in self._all:
                _keep_on_device(one, weights.device)

    @property
    def recordable(self) -> bool:
        """Whether a CUDA graph may replay the update: every state has to live on the device."""
        return all("capturable" in group for group in self._groups)

    @property
    def tensors(self) -> list[Tensor]:
        """All that an update goes on with: weights, gradient, states, learning rates if on a device."""
        kept = [
            each for _, one in self._all for state in one.state.values() for each in state.values()
        ]
        kept += [value for group in self._groups for value in group.values()]
        stacked = [self._weights.detach(), self._weights.grad]
        return [each for each in (*stacked, *kept) if isinstance(each, Tensor)]

    @property
    def settings(self) -> list[dict[str, object]]:
        """What the optimisers keep in Python: no recorded step changes it."""
        return [
            {key: value for key, value in group.items() if key != "params"}
            for group in self._groups
        ]

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return [group for _, one in self._all for group in one.param_groups]

    def set_rates(self, step: int) -> None:
        """Set the learning rates for `step`, counted from 0."""
        for training, optimizer in self._all:
            rate = rate_of(training, step)
            for group in optimizer.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def step(self) -> None:
        """Move the weights."""
        with OPTIMIZER:
            for _, optimizer in self._all:
                optimizer.step()

    def zero(self) -> None:
        """Forget the gradient."""
        if not self._static:
            self._weights.grad = None
        elif self._weights.grad is not None:
            # Optimisers hold views of it, or a recorded step its address: it has to stay where it is.
            self._weights.grad.zero_()

    def _own(self, index: int, packing: Packing, *, whole: bool) -> list[nn.Parameter]:
        assert self._weights.grad is not None
        row, gradient = self._weights.detach()[index], self._weights.grad[index]
        rows = [row] if whole else packing.views(row)
        gradients = [gradient] if whole else packing.views(gradient)
        parameters = [nn.Parameter(each) for each in rows]
        for weight, each in zip(parameters, gradients, strict=True):
            weight.grad = each
        return parameters


def _optimizer(training: Training, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    with OPTIMIZER:
        optimizer: object = training.optimizer(weights)
    if not isinstance(optimizer, torch.optim.Optimizer):
        problem = f"must return a torch.optim.Optimizer from optimizer, got {optimizer!r:.80}"
        raise OPTIMIZER.fault(problem)
    return optimizer


def _keep_on_device(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["lr"] = torch.tensor(float(group["lr"]), device=device)
            group["capturable"] = True
    # Torch warns when such an optimiser steps outside of a recording, as the first steps do.
    optimizer._warned_capturable_if_run_uncaptured = True
