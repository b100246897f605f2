"""What every noise model promises. Subclass `NoiseContract`, set `noise`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from n2n_ablate.testing.promise import (
    advanced_generators,
    alike,
    heeded_generators,
    picture,
    require,
    rng,
    shape_of,
    values_of,
)


class NoiseContract:
    """The promises of a noise model, as tests.

    Attributes:
        noise: The noise model under test. With `unbiased = False`, or a true `clip`, it need not be
            right on average.
    """

    noise: ClassVar[Any]

    def test_shape_and_type_are_kept(self) -> None:
        """Images of any size with one, three or four channels keep shape and type."""
        for shape in ((1, 1, 7, 9), (1, 3, 8, 8), (1, 4, 16, 5)):
            clean = picture(*shape)
            noisy = self.noise.apply(clean, rng())
            seen = f"an image of {shape_of(clean)} became {shape_of(noisy)}"
            require(isinstance(noisy, Tensor) and noisy.shape == shape, seen)
            require(noisy.dtype == clean.dtype, f"float32 became {noisy.dtype}")

    def test_it_is_finite_everywhere(self) -> None:
        """Black, gray and white pixels get finite noise."""
        for gray in (0.0, 0.5, 1.0):
            noisy = self.noise.apply(torch.full((1, 3, 16, 16), gray), rng())
            require(noisy.isfinite().all(), f"a flat image of {gray:g} has {values_of(noisy)}")

    def test_same_seed_same_noise(self) -> None:
        """All trials see the same noisy image: the noise depends on `rng` and nothing else."""
        clean = picture(1, 3, 16, 16)
        names = heeded_generators(lambda: self.noise.apply(clean.clone(), rng()))
        require(not names, f"the noise changes with the global generator of {' and '.join(names)}")

    def test_global_generators_are_left_alone(self) -> None:
        """A noise model neither advances nor re-seeds a global generator of torch, numpy or Python."""
        names = advanced_generators(lambda: self.noise.apply(picture(1, 3, 16, 16), rng()))
        require(not names, f"it changes the global generator of {' and '.join(names)}")

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
        if getattr(self.noise, "unbiased", not getattr(self.noise, "clip", False)):
            clean = torch.full((1, 1, 48, 48), 0.5)
            draws, generator = 64, rng()
            # The unit is the draw, not the pixel, because pixels may share their noise.
            errors = [self.noise.apply(clean.clone(), generator).mean() - 0.5 for _ in range(draws)]
            means = torch.stack(errors)
            error = means.std() / draws**0.5
            seen = f"a mean of {means.mean():+.4g} at a standard error of {error:.2g}"
            require(abs(means.mean()) <= 5 * error + 1e-6, seen)
