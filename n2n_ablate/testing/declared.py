"""What a sampler declares, as tests: it is true, and it is needed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from n2n_ablate.components import Noise, Sampler, Split, declared, is_fixed, mask_of, pairs_of
from n2n_ablate.diagnostics import Probe
from n2n_ablate.diagnostics.measure import diagnose
from n2n_ablate.testing.drawing import ViewPromises, at_every_step
from n2n_ablate.testing.promise import alike, picture, require, rng, shape_of, values_of

DRAWS = 4
"""How many draws of a random sampler are looked at; a broken promise shows in nearly every one."""

GRAYS = (0.0, 1 / 3, 0.5, 1.0)
"""Of flat images."""

LEAST_LEAK = 0.03
"""The smallest leak that is looked for; several standard errors of what is measured here."""


class _White:
    def apply(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        return clean + 0.1 * torch.randn(clean.shape, generator=rng)


class _AtStep:
    """A sampler as it is at one step of its schedule, for who measures at steps of its choice."""

    def __init__(self, case: ViewPromises) -> None:
        self.pairs = pairs_of(case.sampler)
        self._case = case

    def prepare(self, noisy: Tensor, noise: Noise | None) -> Sampler:
        return self._case.at(self._case.ready(noisy))

    def draw(self, image: Tensor, rng: torch.Generator) -> Split:
        return self.prepare(image, None).draw(image, rng)


class DeclaredPromises(ViewPromises):
    """What a sampler promises with the attributes that it declares."""

    @at_every_step
    def test_flat_stays_flat(self) -> None:
        """A flat image has flat views of the same gray, unless `preserves_mean` says otherwise."""
        if declared(self.sampler, "preserves_mean", True):
            for gray in GRAYS:
                require(not (problem := self._unflat(gray)), problem)

    def test_a_declared_change_of_gray_is_real(self) -> None:
        """Who declares `preserves_mean = False` has views in which a flat image is not flat, or another gray."""
        if not declared(self.sampler, "preserves_mean", True):
            real = self._at_some_step(lambda: any(map(self._unflat, GRAYS)))
            require(
                real, "preserves_mean = False, but flat images have flat views of the same gray"
            )

    @at_every_step
    def test_views_share_no_noise(self) -> None:
        """No pixel feeds both views and their noise is independent, unless `leaks` or `required_noise` says otherwise.

        A split with a mask promises it for the hidden pixels alone, see below.
        """
        if self._hides():
            return
        if not declared(self.sampler, "leaks", False) and self.noise is None:
            # A sampler that adds noise may use a pixel twice and still be right.
            if declared(self.sampler, "supports_consistency", True):
                shared = max(int(self._shared(seed).sum()) for seed in range(DRAWS))
                require(
                    not shared,
                    f"{shared} of {3 * self.even**2} values feed both views, and leaks is not declared",
                )
            require(not (leak := self._leak()), f"{leak} and leaks is not declared")

    @at_every_step
    def test_hidden_pixels_stay_hidden(self) -> None:
        """A split with a `mask` hides some pixel, and no hidden pixel of a target feeds its input."""
        for seed in range(DRAWS):
            image = picture(1, 3, self.even, self.even, seed=seed)
            split = self.draw(image.clone(), seed)
            if (mask := mask_of(split)) is None:
                continue
            require(mask.dtype == torch.bool, f"the mask holds values of type {mask.dtype}")
            for given, target in self.trained(tuple(split(image.requires_grad_() * 1))):
                fits = mask.dim() == 4 and mask.shape[2:] == target.shape[2:]
                problem = f"a mask of {shape_of(mask)} for a target of {shape_of(target)}"
                require(fits and mask.shape[:2] in ((1, 1), target.shape[:2]), problem)
                require(mask.any(), "a mask hides no pixel")
                shown = int((_reached(given, image) & _reached(target * mask, image)).sum())
                require(not shown, f"{shown} hidden values reach the network")

    def test_a_replaced_input_is_no_image(self) -> None:
        """Who declares `replaces_input` has the same first view whatever the image is."""
        if declared(self.sampler, "replaces_input", False):
            image, other = (picture(1, 3, self.even, self.even, seed=seed) for seed in range(2))
            first = pairs_of(self.sampler)[0][0]
            same = alike(self.cut(image)[first], self.cut(other)[first])
            require(same, "replaces_input = True, but another image has another first view")

    def test_a_declared_leak_is_real(self) -> None:
        """Who declares `leaks` has a pixel that feeds both views, or views of dependent noise."""
        if declared(self.sampler, "leaks", False):
            shared = self._at_some_step(self._any_shared)
            real = shared or self._at_some_step(lambda: bool(self._leak()))
            require(real, "leaks = True, but no pixel feeds both views and no leak is measured")

    @at_every_step
    def test_views_have_independent_noise(self) -> None:
        """Given the noise it is `required_noise`, errors of the views have mean 0 and are uncorrelated."""
        if self.noise is not None and not declared(self.sampler, "leaks", False):
            gray = torch.full((1, 1, 128, 128), 0.5)
            noisy = self.noise.apply(gray, rng(1))
            for pair in self.trained(self.cut(noisy)):
                first, second = ((view - 0.5).double().flatten() for view in pair)
                limit = 5 / len(first) ** 0.5  # five standard errors
                for error in (first, second):
                    problem = f"a mean error of {error.mean():.3g} at a standard deviation of {error.std():.3g}"
                    require(abs(error.mean()) <= limit * error.std(), problem)
                correlation = torch.corrcoef(torch.stack([first, second]))[0, 1]
                require(
                    abs(correlation) <= limit, f"errors with a correlation of {correlation:.3g}"
                )

    def test_a_declared_noise_is_parted(self) -> None:
        """Who is `required_noise` a noise parts it within pixels: some pixel feeds both views."""
        if self.noise is not None:
            problem = "required_noise is declared, but no pixel feeds both views: any independent noise will do"
            require(self._at_some_step(self._any_shared), problem)

    def test_a_declared_inconsistency_is_real(self) -> None:
        """Who declares `supports_consistency = False` has views that hold more than pixels: flat does not stay flat."""
        if not declared(self.sampler, "supports_consistency", True) and not self._hides():
            problem = "supports_consistency = False, but a flat image is cut into flat views: it costs the consistency loss"
            require(self._at_some_step(lambda: bool(self._unflat(0.5))), problem)
            ready = self.ready(picture(1, 3, self.even, self.even))
            problem = (
                "supports_consistency = False is not declared by the sampler that `prepare` returns"
            )
            require(not declared(ready, "supports_consistency", True), problem)

    @at_every_step
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

    def _at_some_step(self, true: Callable[[], bool]) -> bool:
        for step in self.steps:
            self.step = step
            if true():
                return True
        return False

    def _unflat(self, gray: float) -> str:
        flat = torch.full((1, 3, self.even, self.even), gray)
        for view in self.cut(flat):
            finite = bool(view.isfinite().all())  # if not, that is another promise
            if finite and not torch.allclose(view.float(), torch.full_like(view, gray).float()):
                return f"a flat image of {gray:.4g} gives a view with {values_of(view)}"
        return ""

    def _leak(self) -> str:
        count = len(self.cut(picture(1, 3, self.even, self.even)))
        if any(
            i == j or not (0 <= i < count and 0 <= j < count) for i, j in pairs_of(self.sampler)
        ):
            return ""  # nothing to measure: that is another promise
        # Views of different pixels can share noise too: choose the larger and the smaller of two.
        flat = Probe("flat", torch.full((1, 3, 4 * self.even, 4 * self.even), 0.5))
        figures = diagnose(_AtStep(self), self.noise or _White(), [flat], pairs=8).total
        for measured in (figures.leak, figures.back):
            if measured.is_clear(LEAST_LEAK):
                return f"noise leaks from view to view ({measured.value:+.3f} of its variance)"
        return ""

    def _hides(self) -> bool:
        return mask_of(self.draw(picture(1, 3, self.even, self.even))) is not None

    def _any_shared(self) -> bool:
        return any(bool(self._shared(seed).any()) for seed in range(DRAWS))

    def _shared(self, seed: int) -> Tensor:
        image = picture(1, 3, self.even, self.even, seed=seed)
        split = self.draw(image.clone(), seed)
        views = tuple(split(image.requires_grad_() * 1))
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
