"""What every noise model promises. Subclass `NoiseContract`, set `noise`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from n2n_ablate.testing.samplers import picture, rng


class NoiseContract:
    """The promises of a noise model, as tests.

    Attributes:
        noise: The noise model under test.
        unbiased: Whether the noisy image is right on average. Clipping takes that away.
    """

    noise: ClassVar[Any]
    unbiased: ClassVar[bool] = True

    def test_shape_and_type_are_kept(self) -> None:
        """Gray and colour images of any size keep shape and type, and stay finite."""
        for shape in ((1, 1, 7, 9), (1, 3, 8, 8)):
            noisy = self.noise.apply(picture(*shape), rng())
            assert noisy.shape == shape
            assert noisy.dtype == torch.float32
            assert noisy.isfinite().all()

    def test_same_seed_same_noise(self) -> None:
        """All trials see the same noisy image: the noise depends on `rng` and nothing else."""
        clean = picture(1, 3, 16, 16)
        expected = self.noise.apply(clean, rng())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            assert torch.equal(self.noise.apply(clean, rng()), expected)

    def test_global_generator_is_left_alone(self) -> None:
        """A noise model neither advances nor re-seeds torch's global generator."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(987_654_321)  # a seed that no noise model would set
            before = torch.get_rng_state()
            self.noise.apply(picture(1, 3, 16, 16), rng())
            assert torch.equal(torch.get_rng_state(), before)

    def test_clean_image_is_left_alone(self) -> None:
        """Noise goes into a copy: the clean image scores the result later."""
        clean = picture(1, 3, 16, 16)
        before = clean.clone()
        noisy = self.noise.apply(clean, rng())
        noisy += 1
        assert torch.equal(clean, before)

    def test_clean_image_is_the_mean(self) -> None:
        """On a flat gray image the mean of the noise is 0, to five standard errors.

        The unit is the draw, not the pixel, because pixels may share their noise.
        """
        if self.unbiased:
            clean = torch.full((1, 1, 48, 48), 0.5)
            draws, generator = 64, rng()
            errors = [self.noise.apply(clean, generator).mean() - 0.5 for _ in range(draws)]
            means = torch.stack(errors)
            assert abs(means.mean()) <= 5 * means.std() / draws**0.5 + 1e-6
