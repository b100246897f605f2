"""What every noise model promises. Subclass `NoiseContract`, set `noise`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from n2n_ablate.components import declared
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.promise import alike, picture, require, rng, shape_of, values_of

GRAYS = (0.0, 0.1, 0.5, 0.9, 1.0)
"""Where a bias is looked for."""


class NoiseContract(Contract):
    """The promises of a noise model, as tests.

    Attributes:
        noise: The noise model under test. With `unbiased = False`, or a true `clip`, it need not be
            right on average.
    """

    kind = "noise"
    noise: ClassVar[Any]

    def test_shape_and_type_are_kept(self) -> None:
        """Images of any size with one, three or four channels keep shape and type, and want no gradient."""
        for shape in ((1, 1, 7, 9), (1, 3, 8, 8), (1, 4, 16, 5)):
            clean = picture(*shape)
            noisy = self.noise.apply(clean, rng())
            problem = f"an image of {shape_of(clean)} became {shape_of(noisy)}"
            require(isinstance(noisy, Tensor) and noisy.shape == shape, problem)
            require(noisy.dtype == clean.dtype, f"float32 became {noisy.dtype}")
            require(not noisy.requires_grad, "the noisy image wants a gradient; detach it")

    def test_it_is_finite_everywhere(self) -> None:
        """Black, gray and white pixels get finite noise."""
        for gray in (0.0, 0.5, 1.0):
            noisy = self.noise.apply(torch.full((1, 3, 16, 16), gray), rng())
            require(noisy.isfinite().all(), f"a flat image of {gray:g} has {values_of(noisy)}")

    def test_same_seed_same_noise(self) -> None:
        """All trials see the same noisy image: noise depends on the clean one and on `rng` alone."""
        self.require_function("the noise changes", self._noisy, lambda: self._noisy(seed=1))

    def test_what_all_share_is_left_alone(self) -> None:
        """A noise model changes nothing that all share: no global generator, no setting of torch."""
        self.require_harmless(self._noisy)

    def test_clean_image_is_left_alone(self) -> None:
        """Noise goes into a copy: the clean image scores the result later."""
        clean = picture(1, 3, 16, 16)
        before = clean.clone()
        noisy = self.noise.apply(clean, rng())
        require(alike(clean, before), "the clean image changed while noise was added")
        noisy += 1
        require(alike(clean, before), "the noisy image shares its memory with the clean one")

    def test_clean_image_is_the_mean(self) -> None:
        """On a flat gray image the mean of the noise is 0, unless `unbiased` or `clip` says otherwise."""
        if declared(self.noise, "unbiased", not declared(self.noise, "clip", False)):
            mean, error = self._bias(0.5)
            problem = f"a mean of {mean:+.4g} at a standard error of {error:.2g}"
            require(abs(mean) <= 5 * error + 1e-6, problem)

    def test_a_declared_bias_is_real(self) -> None:
        """Who declares `unbiased = False` is wrong on average for some gray, if it changes any."""
        if not declared(self.noise, "unbiased", True):
            wrong = still = 0
            for gray in GRAYS:
                mean, error = self._bias(gray)
                wrong += abs(mean) > 5 * error + 1e-6
                still += max(abs(mean), error) <= 1e-6  # rounding
            require(
                wrong > 0 or still == len(GRAYS), "unbiased = False, but every gray is its mean"
            )

    def _noisy(self, seed: int = 0) -> Tensor:
        noisy: Tensor = self.noise.apply(picture(1, 3, 16, 16), rng(seed))
        return noisy

    def _bias(self, gray: float) -> tuple[float, float]:
        """Return the mean of the noise on a flat image, and its standard error."""
        clean = torch.full((1, 1, 48, 48), gray)
        draws, generator = 64, rng()
        # The unit is the draw, not the pixel, because pixels may share their noise.
        errors = [self.noise.apply(clean.clone(), generator).mean() - gray for _ in range(draws)]
        means = torch.stack(errors)
        return float(means.mean()), float(means.std() / draws**0.5)
