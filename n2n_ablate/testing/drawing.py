"""Drawing from a sampler as the engine does, at the steps of a training where it is worth a look."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from n2n_ablate.components import (
    MeasuredNoise,
    Noise,
    Sampler,
    Split,
    Views,
    at_step,
    declared,
    declares,
    pairs_of,
    prepare_sampler,
    probe_steps,
)
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.promise import BrokenPromiseError, picture, rng

STEPS = 100
"""Length of the training that a schedule is given."""


def other_shot(image: Tensor, seed: int) -> Tensor:
    """Return what stands for another shot: the grey of an image with noise of its own, of mean 0."""
    noise = 0.1 * torch.randn(image.shape, generator=rng(seed)).to(image)
    middle = image.detach().mean(dim=(2, 3), keepdim=True)
    return middle + noise - noise.mean(dim=(2, 3), keepdim=True)


Test = TypeVar("Test", bound="SamplerCase")


class SamplerCase(Contract):
    """What the tests of a sampler need.

    Attributes:
        sampler: The sampler under test.
        smallest: Images with both sides at least this long must work, odd sides included.
        even: A side that all cells of the sampler divide; most promises are tested at this size.
        step: The step at which `draw` draws.
    """

    sampler: ClassVar[Any]
    smallest: ClassVar[int] = 8
    even: ClassVar[int] = 24
    step: int = 0

    @property
    def noise(self) -> Noise | None:
        """The noise that the sampler is made for; None for any noise that pixels do not share."""
        return declared(self.sampler, "required_noise")

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps worth a look: one, unless the sampler is a schedule, or prepares one."""
        ready = self.ready(picture(1, 3, self.even, self.even))
        return probe_steps(STEPS) if declares(ready, "at") else (0,)

    def ready(self, image: Tensor) -> Sampler:
        """Prepare the sampler for `image`, (1, c, h, w), as the engine does before its first step."""
        noise: Noise | MeasuredNoise | None = self.noise
        if declared(self.sampler, "needs_shots", False):
            noise = MeasuredNoise(tuple(other_shot(image, seed) for seed in range(3)))
        return prepare_sampler(self.sampler, image, noise)

    def draw(self, image: Tensor, seed: int = 0) -> Split:
        """Draw a split for `image`, (1, c, h, w), as the engine does at `step`."""
        return self.at(self.ready(image)).draw(image, rng(seed))

    def at(self, ready: Sampler) -> Sampler:
        """Return what a sampler that is ready for its image is at `step`."""
        return at_step(ready, self.step, STEPS)

    def cut(self, image: Tensor, seed: int = 0) -> Views:
        """Draw a split and apply it once, both on copies: one broken promise, one failed test."""
        return tuple(self.draw(image.clone(), seed)(image.clone()))

    def trained(self, views: Views) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the views that train each other, input first."""
        known = range(len(views))
        pairs = pairs_of(self.sampler)
        return ((views[i], views[j]) for i, j in pairs if i in known and j in known and i != j)


def at_every_step(promise: Callable[[Test], None]) -> Callable[[Test], None]:
    """Make a test of a promise that a schedule has to keep at every step."""

    @functools.wraps(promise)
    def test(self: Test) -> None:
        for step in self.steps:
            self.step = step
            try:
                promise(self)
            except BrokenPromiseError as error:
                if not step:
                    raise
                msg = f"{error} (at step {step} of {STEPS})"
                raise BrokenPromiseError(msg) from error

    return test
