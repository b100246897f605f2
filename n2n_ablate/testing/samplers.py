"""What every sampler promises. Subclass `SamplerContract`, set `sampler`, run pytest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from n2n_ablate.components import Noise, Sampler, Split, Views, is_fixed, pairs_of
from n2n_ablate.diagnostics import Probe, diagnose
from n2n_ablate.testing.promise import (
    advanced_generators,
    alike,
    heeded_generators,
    on_gpu,
    picture,
    require,
    rng,
    shape_of,
    values_of,
)

DRAWS = 4
"""How many draws of a random sampler are looked at; a broken promise shows in nearly every one."""

LEAST_LEAK = 0.03
"""The smallest leak that is looked for; several standard errors of what is measured here."""


class _White:
    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        return clean + 0.1 * torch.randn(clean.shape, generator=rng)


class SamplerContract:
    """The promises of a sampler, as tests.

    A sampler declares with attributes which promises it does not make: `leaks = True` if its
    views may share noise, `keeps_flat = False` if it changes the gray of a flat image.

    With a noise that it is `made_for` another promise takes the place of disjoint pixels: the views
    of a gray image with this noise have uncorrelated errors.

    Attributes:
        sampler: The sampler under test.
        smallest: Images with both sides at least this long must work, odd sides included.
        even: A side that all cells of the sampler divide; most promises are tested at this size.
    """

    sampler: ClassVar[Any]
    smallest: ClassVar[int] = 8
    even: ClassVar[int] = 24

    @property
    def noise(self) -> Noise | None:
        """The noise that the sampler is made for; None for any noise that pixels do not share."""
        return getattr(self.sampler, "made_for", None)

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
        return tuple(self.draw(image.clone(), seed)(image.clone()))

    def trained(self, views: Views) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the views that train each other, input first."""
        known = range(len(views))
        pairs = pairs_of(self.sampler)
        return ((views[i], views[j]) for i, j in pairs if i in known and j in known and i != j)

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

    def test_views_are_finite(self) -> None:
        """Views of a noisy image are finite, also where its values lie below 0 or above 1."""
        image = 4 * picture(1, 3, self.even, self.even) - 2
        for view in self.cut(image):
            require(view.isfinite().all(), f"a view has {values_of(view)}")

    def test_declared_pairs_exist(self) -> None:
        """Every pair of `pairs` names two different views that the split returns."""
        count = len(self.cut(picture(1, 3, self.even, self.even)))
        pairs = pairs_of(self.sampler)
        require(bool(pairs), "pairs is empty: nothing would train")
        for i, j in pairs:
            inside = 0 <= i < count and 0 <= j < count
            require(inside and i != j, f"the pair ({i}, {j}) of {count} views")

    def test_any_size_can_be_cut(self) -> None:
        """Odd, unequal and small sides work: views still match and are not empty."""
        for more in range(10):
            h, w = self.smallest + more, self.smallest + (3 * more + 1) % 10
            image = picture(1, 3, h, w)
            for first, second in self.trained(self.cut(image, seed=more)):
                _require_match(first, second, image)

    def test_any_number_of_channels_can_be_cut(self) -> None:
        """Gray, colour and four-channel images work: nothing assumes three channels."""
        for channels in (1, 3, 4):
            image = picture(1, channels, self.even, self.even)
            for view in self.cut(image):
                seen = f"a view of {shape_of(image)} has the shape {shape_of(view)}"
                require(view.shape[1] == channels, seen)

    def test_flat_stays_flat(self) -> None:
        """A flat image has flat views of the same gray, unless `keeps_flat` says otherwise."""
        if getattr(self.sampler, "keeps_flat", True):
            for gray in (0.0, 1 / 3, 0.5, 1.0):
                flat = torch.full((1, 3, self.even, self.even), gray)
                for view in self.cut(flat):
                    flat_view = torch.allclose(view.float(), torch.full_like(view, gray).float())
                    require(
                        flat_view or not view.isfinite().all(),
                        f"a flat image of {gray:.4g} gives a view with {values_of(view)}",
                    )

    def test_views_share_no_noise(self) -> None:
        """No pixel feeds both views and their noise is independent, unless `leaks` or `made_for` says otherwise."""
        if not getattr(self.sampler, "leaks", False) and self.noise is None:
            # A sampler that adds noise of its own may use a pixel twice and still be right.
            if getattr(self.sampler, "consistent", True):
                shared = max(int(self._shared(seed).sum()) for seed in range(DRAWS))
                require(
                    not shared,
                    f"{shared} of {3 * self.even**2} values feed both views, and leaks is not declared",
                )
            require(not (leak := self._leak()), f"{leak} and leaks is not declared")

    def test_a_declared_leak_is_real(self) -> None:
        """Who declares `leaks` has a pixel that feeds both views, or views of dependent noise."""
        if getattr(self.sampler, "leaks", False):
            real = any(self._shared(seed).any() for seed in range(DRAWS)) or self._leak()
            require(
                bool(real), "leaks = True, but no pixel feeds both views and no leak is measured"
            )

    def test_views_have_independent_noise(self) -> None:
        """Given the noise it is `made_for`, errors of the views have mean 0 and are uncorrelated."""
        if self.noise is not None and not getattr(self.sampler, "leaks", False):
            gray = torch.full((1, 1, 128, 128), 0.5)
            noisy = self.noise.apply(gray, rng(1))
            for pair in self.trained(self.cut(noisy)):
                first, second = ((view - 0.5).double().flatten() for view in pair)
                limit = 5 / len(first) ** 0.5  # five standard errors
                for error in (first, second):
                    seen = f"a mean error of {error.mean():.3g} at a standard deviation of {error.std():.3g}"
                    require(abs(error.mean()) <= limit * error.std(), seen)
                found = torch.corrcoef(torch.stack([first, second]))[0, 1]
                require(abs(found) <= limit, f"errors with a correlation of {found:.3g}")

    def test_a_declared_inconsistency_is_real(self) -> None:
        """Who declares `consistent = False` has views that hold more than pixels: flat does not stay flat."""
        if not getattr(self.sampler, "consistent", True):
            flat = torch.full((1, 1, self.even, self.even), 0.5)
            still = all(torch.allclose(view, torch.full_like(view, 0.5)) for view in self.cut(flat))
            require(
                not still,
                "consistent = False, but a flat image is cut into flat views: it costs the consistency loss",
            )

    def test_fixed_is_true(self) -> None:
        """Who declares `fixed` cuts in the same way whatever the random numbers are."""
        if is_fixed(self.sampler):
            image = picture(1, 3, self.even, self.even)
            expected = self.cut(image)
            for seed in range(1, 1 + DRAWS):
                require(
                    alike(self.cut(image, seed), expected),
                    f"fixed = True, but the draw of seed {seed} differs from that of seed 0",
                )

    def test_all_randomness_comes_from_rng(self) -> None:
        """One seed, one split, whatever state the global generators are in."""
        image = picture(1, 3, self.even, self.even)
        names = heeded_generators(lambda: self.cut(image))
        require(not names, f"the views change with the global generator of {' and '.join(names)}")

    def test_global_generators_are_left_alone(self) -> None:
        """A sampler neither advances nor re-seeds a global generator of torch, numpy or Python."""
        image = picture(1, 3, self.even, self.even)
        names = advanced_generators(lambda: self.cut(image))
        require(not names, f"it changes the global generator of {' and '.join(names)}")

    def test_input_is_left_alone(self) -> None:
        """A sampler never writes into an image it was given."""
        image, denoised = picture(1, 3, self.even, self.even), picture(1, 3, self.even, self.even)
        before = image.clone()
        split = self.draw(image)
        require(alike(image, before), "the noisy image changed while the split was drawn")
        split(denoised)
        require(alike(denoised, before), "the image changed while it was cut")

    def test_gradients_pass_through_every_view(self) -> None:
        """The consistency loss trains through the cut: each view hands gradients to the image."""
        image = picture(1, 3, self.even, self.even).requires_grad_()
        for place, view in enumerate(self.draw(image.detach().clone())(image * 1)):
            require(view.requires_grad, f"view {place} is cut off from the image")
            (gradient,) = torch.autograd.grad(view.sum(), image, retain_graph=True)
            require(gradient.isfinite().all(), f"the gradient of view {place} is not finite")
            require(gradient.any(), f"the gradient of view {place} is 0 everywhere")

    def test_a_split_can_be_applied_again(self) -> None:
        """A split remembers where to cut, but not what it has cut: same image, same views."""
        image = picture(1, 3, self.even, self.even)
        split = self.draw(image.clone())
        expected = tuple(view.clone() for view in split(image.clone()))
        other = tuple(split(picture(1, 3, self.even, self.even, seed=1)))
        require(not alike(other, expected), "another image was cut into the views of the first")
        seen = "the same split cut the same image in another way"
        require(alike(tuple(split(image.clone())), expected), seen)

    def test_a_stack_is_cut_image_by_image(self) -> None:
        """Cutting a stack of images is cutting each of them with the same split."""
        image = picture(1, 3, self.even, self.even)
        stack = torch.cat([image, picture(1, 3, self.even, self.even, seed=1)])
        split = self.draw(image.clone())
        for together, alone in zip(split(stack.clone()), split(stack[1:].clone()), strict=True):
            require(len(together) == 2, f"2 images were cut into views of {shape_of(together)}")
            same = torch.allclose(together[1:], alone, equal_nan=True)
            require(same, "the second image of a stack is cut otherwise than alone")

    def test_it_cuts_on_a_gpu(self) -> None:
        """Images on a GPU are cut there, although the random numbers come from the CPU."""

        def work(device: torch.device) -> None:
            image = torch.full((1, 3, self.even, self.even), 0.5, device=device)
            for place, view in enumerate(self.draw(image)(image)):
                seen = f"view {place} of an image on a GPU is on {view.device}"
                require(view.device.type == device.type, seen)

        on_gpu(work)

    def _leak(self) -> str:
        count = len(self.cut(picture(1, 3, self.even, self.even)))
        if any(
            i == j or not (0 <= i < count and 0 <= j < count) for i, j in pairs_of(self.sampler)
        ):
            return ""  # nothing to measure: that is another promise
        # Views of different pixels can share noise too: choose the larger and the smaller of two.
        flat = Probe("flat", torch.full((1, 3, 4 * self.even, 4 * self.even), 0.5))
        found = diagnose(self.sampler, self.noise or _White(), [flat], pairs=8).total
        for measured in (found.leak, found.back):
            if measured.is_clear(LEAST_LEAK):
                return f"noise leaks from view to view ({measured.value:+.3f} of its variance)"
        return ""

    def _shared(self, seed: int) -> Tensor:
        image = picture(1, 3, self.even, self.even, seed=seed)
        split = self.draw(image.clone(), seed)
        views = tuple(split(image.requires_grad_() * 1))
        shared = torch.zeros_like(image, dtype=torch.bool)
        for pair in self.trained(views):
            reached = [_reached(view, image) for view in pair]
            shared |= reached[0] & reached[1]
        return shared


def _require_match(first: Tensor, second: Tensor, image: Tensor) -> None:
    seen = f"views of {shape_of(first)} and {shape_of(second)} of an image of {shape_of(image)}"
    require(first.shape == second.shape and first.numel() > 0, seen)


def _reached(view: Tensor, image: Tensor) -> Tensor:
    if not view.requires_grad:
        return torch.zeros_like(image, dtype=torch.bool)
    weight = 1 + torch.rand(view.shape, generator=rng())  # so that nothing cancels
    (gradient,) = torch.autograd.grad(view, image, weight, retain_graph=True)
    return gradient != 0
