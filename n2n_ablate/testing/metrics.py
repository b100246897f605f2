"""What every metric promises. Subclass `MetricContract`, set `metric`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from n2n_ablate.testing.samplers import picture


class MetricContract:
    """The promises of a metric, as tests.

    Attributes:
        metric: The metric under test.
        full_reference: Whether it compares with the clean image, which is then the best result.
    """

    metric: ClassVar[Any]
    full_reference: ClassVar[bool] = True

    def test_one_finite_value_per_image(self) -> None:
        """Images (b, c, h, w), gray or colour, odd sides included, give b finite values."""
        for channels in (1, 3):
            clean = picture(2, channels, 17, 24)
            noisy = picture(2, channels, 17, 24, seed=1)
            values = self.metric.measure(noisy, clean, noisy)
            assert values.shape == (2,)
            assert values.isfinite().all()

    def test_clean_image_is_the_best(self) -> None:
        """The clean image itself scores a finite value that nothing worse beats."""
        if self.full_reference:
            clean, noisy = picture(1, 3, 24, 24), picture(1, 3, 24, 24, seed=1)
            best = self.metric.measure(clean, clean, noisy)
            worse = self.metric.measure((clean + noisy) / 2, clean, noisy)
            sign = 1 if getattr(self.metric, "higher_is_better", True) else -1
            assert best.isfinite().all()
            assert sign * best > sign * worse

    def test_images_do_not_see_each_other(self) -> None:
        """The value of an image does not depend on the others in its stack."""
        clean, noisy = picture(3, 3, 24, 24), picture(3, 3, 24, 24, seed=1)
        together = self.metric.measure(noisy, clean, noisy)
        for place in range(3):
            one = slice(place, place + 1)
            alone = self.metric.measure(noisy[one], clean[one], noisy[one])
            torch.testing.assert_close(alone, together[one])

    def test_images_are_left_alone(self) -> None:
        """Measuring changes none of the images."""
        images = [picture(1, 3, 24, 24, seed=seed) for seed in range(3)]
        before = [image.clone() for image in images]
        self.metric.measure(*images)
        assert all(map(torch.equal, images, before))
