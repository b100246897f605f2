"""Randomness that belongs to one fit of a stack: numbers for losses and estimators, and dropout."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_WHOLE_MAPS = {nn.Dropout: False, nn.Dropout1d: True, nn.Dropout2d: True, nn.Dropout3d: True}


class StackRandom:
    """Random numbers for a stack of b fits, each from a stream of its own.

    So a fit is given the same numbers alone and beside others. They are drawn on the CPU, so every
    device is given the same.

    Args:
        rngs: One generator per fit.
        device: Where the numbers are wanted.
    """

    def __init__(self, rngs: Sequence[torch.Generator], device: torch.device) -> None:
        self._rngs = rngs
        self._device = device

    def rand(self, *shape: int) -> Tensor:
        """Return uniform numbers from 0 to below 1, shape (b, *shape)."""
        drawn = torch.stack([torch.rand(shape, generator=rng) for rng in self._rngs])
        return drawn.to(self._device)

    def randn(self, *shape: int) -> Tensor:
        """Return standard normal numbers, shape (b, *shape)."""
        drawn = torch.stack([torch.randn(shape, generator=rng) for rng in self._rngs])
        return drawn.to(self._device)


def arguments_for(method: Callable[..., object], **offered: Any) -> dict[str, Any]:
    """Return those of the offered arguments that a method names; all of them if it takes any."""
    names = inspect.signature(method).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in names.values()):
        return offered
    return {name: value for name, value in offered.items() if name in names}


class SeededDropout(nn.Module):
    """Dropout (Srivastava et al., 2014) that draws from the generator of its fit; without one it does nothing.

    Args:
        p: Share of the values that are set to 0; the others are divided by 1 - p.
        whole_maps: Drop whole channels of an image instead of single values.
    """

    def __init__(self, p: float, *, whole_maps: bool = False) -> None:
        super().__init__()
        self.p, self.whole_maps = p, whole_maps
        self.rng: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of x, (n, c, ...)."""
        if self.rng is None or not self.p:
            return x
        shape = (*x.shape[:2], *(1 for _ in x.shape[2:])) if self.whole_maps else x.shape
        kept = torch.rand(shape, generator=self.rng) >= self.p
        return x * (kept.to(x) / max(1 - self.p, 1e-9))


def seed_dropout(module: nn.Module) -> None:
    """Replace torch's dropout layers in a module, which draw from the one generator of the process.

    Layers that the module has switched off (`eval`) stay as they are.
    """
    made: dict[nn.Module, SeededDropout] = {}
    for name, layer in list(module.named_modules(remove_duplicate=False)):
        whole_maps = _WHOLE_MAPS.get(type(layer))
        if name and whole_maps is not None and layer.training:
            made.setdefault(layer, SeededDropout(layer.p, whole_maps=whole_maps))
            module.set_submodule(name, made[layer])


def dropouts_of(module: nn.Module) -> list[SeededDropout]:
    """Return the seeded dropout layers of a module."""
    return [layer for layer in module.modules() if isinstance(layer, SeededDropout)]


@contextmanager
def dropping_out(
    modules: Sequence[nn.Module], rngs: Sequence[torch.Generator | None]
) -> Iterator[None]:
    """Inside, the dropout layers of each module draw from its generator; they do nothing for None."""
    layers = [
        (layer, rng)
        for module, rng in zip(modules, rngs, strict=True)
        for layer in dropouts_of(module)
    ]
    for layer, rng in layers:
        layer.rng = rng
    try:
        yield
    finally:
        for layer, _ in layers:
            layer.rng = None
