"""What a promise is: a test of a contract, with one sentence that says what is promised."""

from __future__ import annotations

import unittest
from dataclasses import dataclass

import torch
from torch import Tensor


class BrokenPromiseError(AssertionError):
    """A promise that was not kept; the message says what happened instead."""


class NotTried(unittest.SkipTest):
    """A promise that cannot be tried on this machine; the message says why. pytest skips it."""


@dataclass(frozen=True)
class Promise:
    """One promise of a kind."""

    name: str  # the name of its test
    sentence: str  # what is promised, in words


def promises_of(contract: type) -> tuple[Promise, ...]:
    """Return the promises of a contract in the order in which they are written down."""
    tests: dict[str, str] = {}
    for base in reversed(contract.__mro__):
        for name, member in vars(base).items():
            if name.startswith("test_"):
                tests[name] = (member.__doc__ or "").strip().partition("\n")[0]
    return tuple(Promise(name, sentence) for name, sentence in tests.items())


def require(kept: bool | Tensor, problem: str) -> None:
    """Raise if a promise is not kept. Unlike an assertion it also holds under `python -O`.

    Raises:
        BrokenPromiseError: `kept` is false; the message is `problem`, a sentence without its full stop.
    """
    if not bool(kept):
        raise BrokenPromiseError(problem)


def rng(seed: int = 0) -> torch.Generator:
    """Return a CPU generator with a fixed seed."""
    return torch.Generator().manual_seed(seed)


def picture(*shape: int, seed: int = 0) -> Tensor:
    """Return random pixels in 0.1..1: none is 0, so every pixel differs from its absence."""
    return 0.1 + 0.9 * torch.rand(shape, generator=rng(seed))


def shape_of(image: object) -> str:
    """Return a shape as a user writes it: `1x3x24x24`; for what is no tensor its type."""
    if isinstance(image, Tensor):
        return "x".join(map(str, image.shape)) or "a single number"
    return f"a {type(image).__name__}"


def values_of(image: Tensor) -> str:
    """Return the range of values of a tensor in words."""
    if not image.isfinite().all():
        return f"{int((~image.isfinite()).sum())} of {image.numel()} values that are not finite"
    return f"values from {image.min():.4g} to {image.max():.4g}"


def farthest(one: Tensor, other: Tensor) -> float:
    """Return the largest difference between two tensors."""
    return float((one.detach() - other.detach()).abs().max())


def alike(one: object, other: object) -> bool:
    """Say whether two results are equal, bit for bit; NaN equals NaN."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
    return one == other
