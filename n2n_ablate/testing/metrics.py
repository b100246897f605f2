"""What every metric promises. Subclass `MetricContract`, set `metric`, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from n2n_ablate.components import declared
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.gpu import on_gpu
from n2n_ablate.testing.promise import alike, picture, require, shape_of, values_of


class MetricContract(Contract):
    """The promises of a metric, as tests.

    Attributes:
        metric: The metric under test. Without `full_reference = False` it compares with the clean
            image, which is then the best result.
    """

    kind = "metric"
    metric: ClassVar[Any]

    @property
    def full_reference(self) -> bool:
        """Whether the metric compares with the clean image."""
        return bool(declared(self.metric, "full_reference", True))

    def test_one_finite_value_per_image(self) -> None:
        """Images with one, three or four channels, odd sides included, give one finite value each."""
        for channels in self._channels((1, 3, 4)):
            size = max(17, self._smallest), max(24, self._smallest)
            clean = picture(2, channels, *size)
            noisy = picture(2, channels, *size, seed=1)
            values = self.metric.measure(noisy.clone(), clean, noisy.clone())
            problem = f"2 images gave {shape_of(values)}"
            require(isinstance(values, Tensor) and values.shape == (2,), problem)
            require(values.is_floating_point(), f"it gave values of type {values.dtype}")
            require(values.isfinite().all(), f"it gave {values_of(values)}")

    def test_clean_image_is_the_best(self) -> None:
        """The clean image scores a finite value that nothing worse beats, unless `full_reference` is False."""
        if self.full_reference:
            clean, noisy = self._picture(1), self._picture(1, seed=1)
            best = self.metric.measure(clean.clone(), clean.clone(), noisy.clone())
            worse = self.metric.measure((clean + noisy) / 2, clean.clone(), noisy.clone())
            sign = 1 if declared(self.metric, "higher_is_better", True) else -1
            require(best.isfinite().all(), f"the clean image scores {float(best):g}")
            problem = f"the clean image scores {float(best):.4g}, a worse one {float(worse):.4g}"
            require(sign * best > sign * worse, f"{problem} with higher_is_better = {sign > 0}")

    def test_who_needs_no_reference_has_none(self) -> None:
        """Who declares `full_reference = False` gives the same value whatever the clean image is."""
        if not self.full_reference:
            denoised, noisy = self._picture(1), self._picture(1, seed=1)
            values = [
                self.metric.measure(denoised.clone(), self._picture(1, seed=seed), noisy)
                for seed in (2, 3)
            ]
            problem = (
                f"{float(values[0]):.4g} with one clean image, {float(values[1]):.4g} with another"
            )
            require(alike(*values), problem)

    def test_same_images_same_value(self) -> None:
        """A metric is a function of its images: no randomness, no memory of images before them."""
        self.require_function("the value changes", self._measure, lambda: self._measure(seed=3))

    def test_what_all_share_is_left_alone(self) -> None:
        """Measuring changes nothing that all share: no global generator, no setting of torch."""
        self.require_harmless(self._measure)

    def test_images_do_not_see_each_other(self) -> None:
        """The value of an image does not depend on the others in its stack."""
        clean, noisy = self._picture(3), self._picture(3, seed=1)
        together = self.metric.measure(noisy.clone(), clean.clone(), noisy.clone())
        for index in range(3):
            one = slice(index, index + 1)
            alone = self.metric.measure(noisy[one].clone(), clean[one].clone(), noisy[one].clone())
            problem = f"{float(alone):.6g} alone, {float(together[index]):.6g} in a stack of 3"
            require(torch.allclose(alone, together[one], rtol=1e-4, atol=1e-5), problem)

    def test_images_are_left_alone(self) -> None:
        """Measuring changes none of the images."""
        images = [self._picture(1, seed=seed) for seed in range(3)]
        before = [image.clone() for image in images]
        self.metric.measure(*images)
        for name, image, old in zip(("denoised", "clean", "noisy"), images, before, strict=True):
            require(alike(image, old), f"the {name} image changed")

    def test_it_measures_on_a_gpu(self) -> None:
        """Images on a GPU are measured there."""
        on_gpu(
            lambda device: self.metric.measure(
                *(
                    torch.full(self._picture(1).shape, gray, device=device)
                    for gray in (0.4, 0.5, 0.6)
                )
            )
        )

    @property
    def _smallest(self) -> int:
        return int(declared(self.metric, "smallest", 1))

    def _channels(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        taken = tuple(declared(self.metric, "channels", ()))
        return tuple(count for count in wanted if not taken or count in taken) or taken[:1]

    def _picture(self, count: int, seed: int = 0) -> Tensor:
        side = max(24, self._smallest)
        return picture(count, self._channels((3,))[0], side, side, seed=seed)

    def _measure(self, seed: int = 0) -> Tensor:
        images = (self._picture(1, seed=seed + index) for index in range(3))
        values: Tensor = self.metric.measure(*images)
        return values
