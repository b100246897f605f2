"""The views of a sampler, as tests: their shapes and values, whatever the image is."""

from __future__ import annotations

from torch import Tensor

from n2n_ablate.components import pairs_of
from n2n_ablate.testing.drawing import SamplerCase, at_every_step
from n2n_ablate.testing.promise import picture, require, shape_of, values_of


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
