"""Drawing from a sampler as the engine does, at some steps of a training; and what views promise."""

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
from n2n_ablate.testing.promise import (
    BrokenPromiseError,
    picture,
    require,
    rng,
    shape_of,
    values_of,
)

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


class ViewPromises(SamplerCase):
    """What a sampler promises about its views."""

    @at_every_step
    def test_views_match(self) -> None:
        """Views that train each other have one shape, keep channels and type, and are not empty."""
        image = picture(1, 3, self.even, self.even)
        views = self.cut(image)
        require(len(views) > 1, f"the split gave {len(views)} view")
        for first, second in self.trained(views):
            _require_match(first, second, image)
            require(
                first.shape[:2] == image.shape[:2],
                f"a view of an image of {shape_of(image)} has the shape {shape_of(first)}",
            )
            require(
                first.dtype == second.dtype == image.dtype,
                f"views of type {first.dtype} and {second.dtype} of an image of {image.dtype}",
            )

    @at_every_step
    def test_views_are_finite(self) -> None:
        """Views of a noisy image are finite, also where its values lie below 0 or above 1."""
        image = 4 * picture(1, 3, self.even, self.even) - 2
        for view in self.cut(image):
            require(view.isfinite().all(), f"a view has {values_of(view)}")

    @at_every_step
    def test_declared_pairs_exist(self) -> None:
        """Every pair of `pairs` names two different views of the split, and is declared at every step."""
        image = picture(1, 3, self.even, self.even)
        count = len(self.cut(image))
        pairs = pairs_of(self.sampler)
        require(bool(pairs), "pairs is empty: nothing would train")
        for i, j in pairs:
            inside = 0 <= i < count and 0 <= j < count
            require(inside and i != j, f"the pair ({i}, {j}) of {count} views")
        ready = self.ready(image.clone())
        for method, sampler in (("prepare", ready), ("at", self.at(ready))):
            prepared_pairs = pairs_of(sampler)
            problem = (
                f"pairs is {pairs}, but {prepared_pairs} of the sampler that `{method}` returns"
            )
            require(prepared_pairs == pairs, problem)

    @at_every_step
    def test_any_size_can_be_cut(self) -> None:
        """Odd, unequal and small sides work: views still match and are not empty."""
        for more in range(10):
            h, w = self.smallest + more, self.smallest + (3 * more + 1) % 10
            image = picture(1, 3, h, w)
            for first, second in self.trained(self.cut(image, seed=more)):
                _require_match(first, second, image)

    @at_every_step
    def test_any_number_of_channels_can_be_cut(self) -> None:
        """Gray, colour and four-channel images work: nothing assumes three channels."""
        for channels in (1, 3, 4):
            image = picture(1, channels, self.even, self.even)
            for view in self.cut(image):
                problem = f"a view of {shape_of(image)} has the shape {shape_of(view)}"
                require(view.shape[1] == channels, problem)


def _require_match(first: Tensor, second: Tensor, image: Tensor) -> None:
    problem = f"views of {shape_of(first)} and {shape_of(second)} of an image of {shape_of(image)}"
    require(first.shape == second.shape and first.numel() > 0, problem)
