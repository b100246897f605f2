"""The sampler kit itself: every promise, broken on purpose, is caught by its own test alone."""

import random

import pytest
import torch

from n2n_ablate import Range
from n2n_ablate.testing import SamplerContract, name_of, settings_of
from n2n_ablate_plugins.noises import Gaussian
from n2n_ablate_plugins.zs_n2n import EdgeWeighted


def rows(image):
    return image[..., 0:-1:2, :], image[..., 1::2, :]


def swapped(flags, image):
    even, odd = rows(image)
    return torch.where(flags, odd, even), torch.where(flags, even, odd)


class Good:
    """Even rows against odd rows. The broken ones below differ in one thing each."""

    def draw(self, image, rng):
        return self.cut

    def cut(self, image):
        return rows(image)


class OtherType(Good):
    def cut(self, image):
        return tuple(view.double() for view in rows(image))


class OddHeight(Good):
    def cut(self, image):
        return image[..., 0::2, :], image[..., 1::2, :]


class ThreeChannels(Good):
    def cut(self, image):
        return rows(image[:, :3])


class Brighter(Good):
    def cut(self, image):
        return rows(1.01 * image)


class Overlap(Good):
    def cut(self, image):
        even, odd = rows(image)
        return even, (even + odd) / 2


class Chooses(Good):
    """No pixel feeds both views, but the noise decides which pixel goes where."""

    def cut(self, image):
        even, odd = rows(image)
        return torch.minimum(even, odd), torch.maximum(even, odd)


class FalseWarning(Good):
    leaks = True


class NotFixed(Good):
    fixed = True

    def draw(self, image, rng):
        flags = torch.randint(2, (image.shape[-2] // 2, 1), generator=rng) == 1
        return lambda image: swapped(flags, image)


class Elsewhere(Good):
    def draw(self, image, rng):
        flags = torch.tensor([[random.random() < 0.5] for _ in range(image.shape[-2] // 2)])
        return lambda image: swapped(flags, image)


class Reseeds(Good):
    def draw(self, image, rng):
        torch.manual_seed(0)
        return self.cut


class Writes(Good):
    def cut(self, image):
        views = tuple(view.clone() for view in rows(image))
        image.zero_()
        return views


class WritesWhileDrawing(Good):
    def draw(self, image, rng):
        image.zero_()
        return self.cut


class Detached(Good):
    def cut(self, image):
        even, odd = rows(image)
        return even, odd.detach()


class Forgetful(Good):
    def draw(self, image, rng):
        seen = []

        def cut(image):
            seen.append(image)
            return rows(image) if len(seen) < 3 else rows(image)[::-1]

        return cut


class Cached(Good):
    def draw(self, image, rng):
        seen = []

        def cut(image):
            seen.append(image)
            return rows(seen[0])

        return cut


class Mixes(Good):
    def cut(self, image):
        return rows(image.roll(1, dims=0))


class TwiceTheSame:
    """Adds noise as recorruption does, but with one sign in both views."""

    made_for = Gaussian(clip=False)
    consistent = False
    keeps_flat = False

    def draw(self, image, rng):
        fresh = 0.1 * torch.randn(image.shape, generator=rng)
        return lambda image: (image + fresh, image + 2 * fresh)


def broken_promises(sampler):
    contract = type(
        "Contract",
        (SamplerContract,),
        {"sampler": sampler, "noise": getattr(sampler, "made_for", None)},
    )()
    failed = []
    for name in dir(contract):
        if name.startswith("test_"):
            try:
                getattr(contract, name)()
            except Exception:  # noqa: BLE001  a broken sampler may fail in any way
                failed.append(name)
    return failed


def test_a_good_sampler_passes():
    assert broken_promises(Good()) == []


@pytest.mark.parametrize(
    ("sampler", "promise"),
    [
        (OtherType(), "test_views_match"),
        (OddHeight(), "test_any_size_can_be_cut"),
        (ThreeChannels(), "test_any_number_of_channels_can_be_cut"),
        (Brighter(), "test_flat_stays_flat"),
        (Overlap(), "test_views_share_no_noise"),
        (Chooses(), "test_views_share_no_noise"),
        (TwiceTheSame(), "test_views_have_independent_noise"),
        (FalseWarning(), "test_a_declared_leak_is_real"),
        (NotFixed(), "test_fixed_is_true"),
        (Elsewhere(), "test_all_randomness_comes_from_rng"),
        (Reseeds(), "test_global_generator_is_left_alone"),
        (Writes(), "test_input_is_left_alone"),
        (WritesWhileDrawing(), "test_input_is_left_alone"),
        (Detached(), "test_gradients_pass_through_every_view"),
        (Forgetful(), "test_a_split_can_be_applied_again"),
        (Mixes(), "test_a_stack_is_cut_image_by_image"),
    ],
)
def test_each_broken_promise_fails_its_own_test_alone(sampler, promise):
    assert broken_promises(sampler) == [promise]


def test_views_kept_from_the_first_image_are_caught():
    assert "test_a_split_can_be_applied_again" in broken_promises(Cached())


class Warned(Chooses):
    leaks = True


class Recorrupts(Good):
    """Every pixel feeds both views; the noise that is added makes them independent (sd 0.1)."""

    consistent = False
    keeps_flat = False

    def draw(self, image, rng):
        added = 0.1 * torch.randn(image.shape, generator=rng)
        return lambda image: (image + added, image - added)


@pytest.mark.parametrize("sampler", [Warned(), Recorrupts()], ids=lambda item: type(item).__name__)
def test_dependence_of_noise_counts_not_that_of_pixels(sampler):
    assert broken_promises(sampler) == []


def test_every_promise_has_a_sampler_that_breaks_it():
    (mark,) = test_each_broken_promise_fails_its_own_test_alone.pytestmark
    broken = {promise for _, promise in mark.args[1]}
    assert broken == {name for name in dir(SamplerContract) if name.startswith("test_")}


def test_settings_are_the_defaults_and_both_ends_of_every_parameter():
    assert list(settings_of(EdgeWeighted)) == [
        {},
        {"weight": -0.2},
        {"weight": 0.2},
        {"divisor": "text"},
    ]
    assert 0.1 in Range(-0.2, 0.2)
    assert name_of("edge-weighted", {"weight": 0.2}) == "edge-weighted(weight=0.2)"
    assert name_of("edge-weighted", {}) == "edge-weighted"
