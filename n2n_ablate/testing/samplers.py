"""What every sampler promises. Subclass `SamplerContract`, set `sampler`, run pytest."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from n2n_ablate.components import Noise, Sampler, Split, Views, is_fixed, pairs_of
from n2n_ablate.diagnostics import Probe, diagnose

# Every plugin runs these same methods from its own subclass; Hypothesis would call that flaky.
few = settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.differing_executors]
)

DRAWS = 4
"""How many draws of a random sampler are looked at; a broken promise shows in nearly every one."""


LEAST_LEAK = 0.03
"""The smallest leak that is looked for; several standard errors of what is measured here."""


class _White:
    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        return clean + 0.1 * torch.randn(clean.shape, generator=rng)


def rng(seed: int = 0) -> torch.Generator:
    """Return a CPU generator with a fixed seed."""
    return torch.Generator().manual_seed(seed)


def picture(*shape: int, seed: int = 0) -> Tensor:
    """Return random pixels in 0.1..1: none is 0, so every pixel can be told from its absence."""
    return 0.1 + 0.9 * torch.rand(shape, generator=rng(seed))


class SamplerContract:
    """The promises of a sampler, as tests.

    A sampler declares with attributes which promises it does not make: `leaks = True` if its
    views may share noise, `keeps_flat = False` if it changes the gray of a flat image.

    With a `noise` another promise takes the place of disjoint pixels: the views of a gray image
    with this noise have uncorrelated errors. For samplers that part the noise, not the pixels.

    Attributes:
        sampler: The sampler under test.
        noise: Handed to the sampler's `prepare`, if it has one, and used to measure the leak; by
            default nothing, and white noise.
        smallest: Images with both sides at least this long must work, odd sides included.
        even: A side that all cells of the sampler divide; most promises are tested at this size.
    """

    sampler: ClassVar[Any]
    noise: ClassVar[Noise | None] = None
    smallest: ClassVar[int] = 8
    even: ClassVar[int] = 24

    def draw(self, image: Tensor, seed: int = 0) -> Split:
        """Draw a split for `image`, (1, c, h, w), as the engine does before its first step."""
        sampler: Sampler = self.sampler
        if hasattr(sampler, "prepare"):
            sampler = sampler.prepare(image, self.noise)
        if hasattr(sampler, "at"):
            sampler = sampler.at(0, 100)
        return sampler.draw(image, rng(seed))

    def cut(self, image: Tensor, seed: int = 0) -> Views:
        """Draw a split and apply it once, both on copies: one broken promise, one failed test."""
        return self.draw(image.clone(), seed)(image.clone())

    def trained(self, views: Views) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the views that train each other, input first."""
        return ((views[i], views[j]) for i, j in pairs_of(self.sampler))

    def test_views_match(self) -> None:
        """Views that train each other have one shape, keep channels and type, and are not empty."""
        image = picture(1, 3, self.even, self.even)
        for first, second in self.trained(self.cut(image)):
            assert first.shape == second.shape
            assert first.shape[:2] == image.shape[:2]
            assert first.numel() > 0
            assert first.dtype == second.dtype == image.dtype

    @few
    @given(data=st.data())
    def test_any_size_can_be_cut(self, data: st.DataObject) -> None:
        """Odd, unequal and small sides work: views still match and are not empty."""
        side = st.integers(self.smallest, self.smallest + 9)
        image = picture(1, 3, data.draw(side), data.draw(side))
        for first, second in self.trained(self.cut(image)):
            assert first.shape == second.shape
            assert first.numel() > 0

    def test_any_number_of_channels_can_be_cut(self) -> None:
        """Gray, colour and four-channel images work: nothing assumes three channels."""
        for channels in (1, 3, 4):
            image = picture(1, channels, self.even, self.even)
            for view in self.cut(image):
                assert view.shape[1] == channels

    @few
    @given(gray=st.floats(0, 1, width=32))
    def test_flat_stays_flat(self, gray: float) -> None:
        """A flat image has flat views of the same gray, unless `keeps_flat` says otherwise."""
        if getattr(self.sampler, "keeps_flat", True):
            flat = torch.full((1, 3, self.even, self.even), gray)
            for view in self.cut(flat):
                torch.testing.assert_close(view, torch.full_like(view, gray))

    def test_views_share_no_noise(self) -> None:
        """No pixel feeds both views and their noise is independent, unless `leaks` or `noise` says otherwise."""
        if not getattr(self.sampler, "leaks", False) and self.noise is None:
            # A sampler that adds noise of its own may use a pixel twice and still be right.
            if getattr(self.sampler, "consistent", True):
                assert not any(self._shared(seed).any() for seed in range(DRAWS))
            assert not self._leaks()

    def test_a_declared_leak_is_real(self) -> None:
        """Who declares `leaks` has a pixel that feeds both views, or views of dependent noise."""
        if getattr(self.sampler, "leaks", False):
            assert any(self._shared(seed).any() for seed in range(DRAWS)) or self._leaks()

    def test_views_have_independent_noise(self) -> None:
        """Given a `noise`, errors of the views have mean 0 and are uncorrelated (5 standard errors)."""
        if self.noise is not None and not getattr(self.sampler, "leaks", False):
            gray = torch.full((1, 1, 128, 128), 0.5)
            noisy = self.noise.apply(gray, rng(1))
            for pair in self.trained(self.cut(noisy)):
                first, second = ((view - 0.5).double().flatten() for view in pair)
                limit = 5 / len(first) ** 0.5
                assert abs(first.mean()) <= limit * first.std()
                assert abs(second.mean()) <= limit * second.std()
                assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) <= limit

    def test_fixed_is_true(self) -> None:
        """Who declares `fixed` cuts in the same way whatever the random numbers are."""
        if is_fixed(self.sampler):
            image = picture(1, 3, self.even, self.even)
            expected = self.cut(image)
            for seed in range(1, 1 + DRAWS):
                assert _same(self.cut(image, seed), expected)

    def test_all_randomness_comes_from_rng(self) -> None:
        """One seed, one split, whatever state the global generators are in."""
        image = picture(1, 3, self.even, self.even)
        expected = self.cut(image)
        numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
        with torch.random.fork_rng(devices=[]):
            for seed in range(DRAWS):
                torch.manual_seed(seed)
                np.random.seed(seed)  # noqa: NPY002
                random.seed(seed)
                assert _same(self.cut(image), expected)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)

    def test_global_generator_is_left_alone(self) -> None:
        """A sampler neither advances nor re-seeds torch's global generator."""
        image = picture(1, 3, self.even, self.even)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(987_654_321)  # a seed that no sampler would set
            before = torch.get_rng_state()
            self.cut(image)
            assert torch.equal(torch.get_rng_state(), before)

    def test_input_is_left_alone(self) -> None:
        """A sampler never writes into an image it was given."""
        image, denoised = picture(1, 3, self.even, self.even), picture(1, 3, self.even, self.even)
        before = image.clone()
        self.draw(image)(denoised)
        assert torch.equal(image, before)
        assert torch.equal(denoised, before)

    def test_gradients_pass_through_every_view(self) -> None:
        """The consistency loss trains through the cut: each view hands gradients to the image."""
        image = picture(1, 3, self.even, self.even).requires_grad_()
        for view in self.draw(image.detach().clone())(image * 1):
            assert view.requires_grad
            (gradient,) = torch.autograd.grad(view.sum(), image, retain_graph=True)
            assert gradient.isfinite().all()
            assert gradient.any()

    def test_a_split_can_be_applied_again(self) -> None:
        """A split remembers where to cut, but not what it has cut: same image, same views."""
        image = picture(1, 3, self.even, self.even)
        split = self.draw(image.clone())
        expected = tuple(view.clone() for view in split(image.clone()))
        other = split(picture(1, 3, self.even, self.even, seed=1))
        assert not _same(other, expected)
        assert _same(split(image.clone()), expected)

    def test_a_stack_is_cut_image_by_image(self) -> None:
        """Cutting a stack of images is cutting each of them with the same split."""
        image = picture(1, 3, self.even, self.even)
        stack = torch.cat([image, picture(1, 3, self.even, self.even, seed=1)])
        split = self.draw(image.clone())
        for together, alone in zip(split(stack.clone()), split(stack[1:].clone()), strict=True):
            assert len(together) == 2
            torch.testing.assert_close(together[1:], alone)

    def _leaks(self) -> bool:
        # Views of different pixels can share noise too: choose the larger and the smaller of two.
        flat = Probe("flat", torch.full((1, 3, 4 * self.even, 4 * self.even), 0.5))
        found = diagnose(self.sampler, self.noise or _White(), [flat], pairs=8).total
        return found.leak.is_clear(LEAST_LEAK) or found.back.is_clear(LEAST_LEAK)

    def _shared(self, seed: int) -> Tensor:
        image = picture(1, 3, self.even, self.even, seed=seed)
        split = self.draw(image.clone(), seed)
        views = split(image.requires_grad_() * 1)
        shared = torch.zeros_like(image, dtype=torch.bool)
        for pair in self.trained(views):
            reached = [_reached(view, image) for view in pair]
            shared |= reached[0] & reached[1]
        return shared


def _reached(view: Tensor, image: Tensor) -> Tensor:
    if not view.requires_grad:
        return torch.zeros_like(image, dtype=torch.bool)
    weight = 1 + torch.rand(view.shape, generator=rng())  # so that nothing cancels
    (gradient,) = torch.autograd.grad(view, image, weight, retain_graph=True)
    return gradient != 0


def _same(views: Views, expected: Views) -> bool:
    return len(views) == len(expected) and all(map(torch.equal, views, expected))
