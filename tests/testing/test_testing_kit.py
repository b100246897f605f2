"""The sampler kit itself: every promise, broken on purpose, is caught by its own test alone."""

import random
from pathlib import Path
from typing import Annotated

import pytest
import torch

from n2n_ablate import ParameterError, Range
from n2n_ablate.testing import (
    CONTRACTS,
    broken_promises,
    name_of,
    promises_of,
    settings_of,
)
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
        return lambda image: swapped(flags.to(image.device), image)


class Elsewhere(Good):
    def draw(self, image, rng):
        flags = torch.tensor([[random.random() < 0.5] for _ in range(image.shape[-2] // 2)])
        return lambda image: swapped(flags.to(image.device), image)


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

    required_noise = Gaussian(clip=False)
    supports_consistency = False
    preserves_mean = False

    def draw(self, image, rng):
        fresh = (0.1 * torch.randn(image.shape, generator=rng)).to(image.device)
        return lambda image: (image + fresh, image + 2 * fresh)


class Pepper(Good):
    """Not finite where a noisy value lies below 0, which picture values never do."""

    def cut(self, image):
        return tuple(torch.where(view < 0, torch.nan, view) for view in rows(image))


class SameView(Good):
    pairs = ((0, 0), (1, 1))


class NeedlesslyInconsistent(Good):
    supports_consistency = False


class FlatAfterAll(Good):
    preserves_mean = False


class ForAnyNoise(Good):
    required_noise = Gaussian(clip=False)


class Random(Good):
    """Swaps the pixels of some pairs of rows; what differs below is what it remembers."""

    flags = None

    def draw(self, image, rng):
        flags = self.drawn(image, rng).to(image.device)
        return lambda image: swapped(flags, image)

    def drawn(self, image, rng):
        return torch.randint(2, (image.shape[-2] // 2, 1), generator=rng) == 1


class Sticky(Random):
    """Keeps its first draw for every size, for all samplers of its class."""

    kept = {}  # noqa: RUF012  that is what is wrong

    def drawn(self, image, rng):
        return self.kept.setdefault(image.shape[-2], super().drawn(image, rng))


class StickyOnce(Random):
    """One draw for all sizes: it only says whether all rows are swapped."""

    kept = None

    def drawn(self, image, rng):
        if StickyOnce.kept is None:
            StickyOnce.kept = torch.randint(2, (1, 1), generator=rng) == 1
        return StickyOnce.kept


FIRST = {}


class StickyModule(Random):
    """Keeps its first draw in a global variable of its module."""

    def drawn(self, image, rng):
        return FIRST.setdefault("draw", torch.randint(2, (1, 1), generator=rng) == 1)


class LateSplit(Random):
    """Its splits cut where the last draw said."""

    def draw(self, image, rng):
        self.flags = self.drawn(image, rng).to(image.device)
        return lambda image: swapped(self.flags, image)


class PreparesItself(Good):
    """All fits share the component, so all have the preparation of the last."""

    turned = False

    def prepare(self, noisy, noise):
        if noisy.device.type == "cpu":
            self.turned = bool(noisy[..., :8, :8].mean() > noisy[..., 8:16, :8].mean())
        return self

    def draw(self, image, rng):
        turned = self.turned
        return lambda image: rows(image)[::-1] if turned else rows(image)


class OnTheCpu(Good):
    """A mask on the CPU meets the image, wherever that is."""

    def draw(self, image, rng):
        flags = torch.randint(2, (image.shape[-2] // 2, 1), generator=rng) == 1
        return lambda image: swapped(flags, image)


class Peeps(Good):
    """Hides one pixel in four, but fills some of the holes with what another hides."""

    pairs = ((0, 1),)

    def draw(self, image, rng):
        return Peeping((torch.rand(1, 1, *image.shape[-2:], generator=rng) < 0.25).to(image.device))


class Peeping:
    def __init__(self, mask):
        self.mask = mask

    def __call__(self, image):
        return torch.where(self.mask, image.roll(1, dims=-1), image), image


class GetsTheImage(Good):
    replaces_input = True


class Changes(Good):
    """Good at the first step; the broken ones below are something else later."""

    later = Good

    def at(self, step, steps):
        return self.later() if step else Good()


class LaterNan(Changes):
    class later(Good):
        def cut(self, image):
            return tuple(view / 0 for view in rows(image))


class LaterBrighter(Changes):
    later = Brighter


class LaterLeaks(Changes):
    later = Overlap


class LaterSmaller(Changes):
    later = OddHeight


class LaterOnTheCpu(Changes):
    later = OnTheCpu


class LaterAround(Changes):
    class later(Good):
        pairs = ((0, 1),)


class LeaksLater(Changes):
    """Honest: good in its first half, and it says what it does in the second."""

    leaks = True

    def at(self, step, steps):
        return Overlap() if 2 * step >= steps else Good()


def broken(sampler):
    return [item.promise.name for item in broken_promises("sampler", sampler)]


def test_a_good_sampler_passes():
    assert broken(Good()) == []


@pytest.mark.parametrize(
    ("sampler", "promise"),
    [
        (OtherType(), "test_views_match"),
        (Pepper(), "test_views_are_finite"),
        (SameView(), "test_declared_pairs_exist"),
        (NeedlesslyInconsistent(), "test_a_declared_inconsistency_is_real"),
        (OnTheCpu(), "test_it_cuts_on_a_gpu"),
        (FlatAfterAll(), "test_a_declared_change_of_gray_is_real"),
        (ForAnyNoise(), "test_a_declared_noise_is_parted"),
        (Sticky(), "test_a_draw_remembers_nothing"),
        (StickyOnce(), "test_a_draw_remembers_nothing"),
        (StickyModule(), "test_a_draw_remembers_nothing"),
        (LateSplit(), "test_a_draw_remembers_nothing"),
        (PreparesItself(), "test_fits_are_prepared_apart"),
        (LaterBrighter(), "test_flat_stays_flat"),
        (LaterLeaks(), "test_views_share_no_noise"),
        (LaterSmaller(), "test_any_size_can_be_cut"),
        (LaterOnTheCpu(), "test_it_cuts_on_a_gpu"),
        (LaterAround(), "test_declared_pairs_exist"),
        (OddHeight(), "test_any_size_can_be_cut"),
        (ThreeChannels(), "test_any_number_of_channels_can_be_cut"),
        (Brighter(), "test_flat_stays_flat"),
        (Overlap(), "test_views_share_no_noise"),
        (Chooses(), "test_views_share_no_noise"),
        (TwiceTheSame(), "test_views_have_independent_noise"),
        (FalseWarning(), "test_a_declared_leak_is_real"),
        (NotFixed(), "test_fixed_is_true"),
        (Peeps(), "test_hidden_pixels_stay_hidden"),
        (GetsTheImage(), "test_a_replaced_input_is_no_image"),
        (Elsewhere(), "test_all_randomness_comes_from_rng"),
        (Reseeds(), "test_what_all_share_is_left_alone"),
        (Writes(), "test_input_is_left_alone"),
        (WritesWhileDrawing(), "test_input_is_left_alone"),
        (Detached(), "test_gradients_pass_through_every_view"),
        (Forgetful(), "test_a_split_can_be_applied_again"),
        (Mixes(), "test_a_stack_is_cut_image_by_image"),
    ],
)
def test_each_broken_promise_fails_its_own_test_alone(sampler, promise):
    assert broken(sampler) == [promise]


def test_views_kept_from_the_first_image_are_caught():
    assert "test_a_split_can_be_applied_again" in broken(Cached())


def test_a_schedule_is_looked_at_beyond_its_first_step():
    found = {item.promise.name: item.problem for item in broken_promises("sampler", LaterNan())}
    assert found["test_views_are_finite"].endswith("that are not finite (at step 1 of 100)")
    assert broken(LeaksLater()) == []


def test_what_prepares_must_go_on_declaring():
    class Ready(TwiceTheSame):
        supports_consistency = True

    class Prepares(TwiceTheSame):
        def prepare(self, noisy, noise):
            return Ready()

    assert "test_a_declared_inconsistency_is_real" in broken(Prepares())


class Warned(Chooses):
    leaks = True


class Recorrupts(Good):
    """Every pixel feeds both views; the noise that is added makes them independent (sd 0.1)."""

    supports_consistency = False
    preserves_mean = False

    def draw(self, image, rng):
        added = (0.1 * torch.randn(image.shape, generator=rng)).to(image.device)
        return lambda image: (image + added, image - added)


@pytest.mark.parametrize("sampler", [Warned(), Recorrupts()], ids=lambda item: type(item).__name__)
def test_dependence_of_noise_counts_not_that_of_pixels(sampler):
    assert broken(sampler) == []


def test_every_promise_has_a_sampler_that_breaks_it():
    (mark,) = test_each_broken_promise_fails_its_own_test_alone.pytestmark
    assert {promise for _, promise in mark.args[1]} == names("sampler")


def names(kind):
    return {promise.name for promise in promises_of(CONTRACTS[kind])}


@pytest.mark.parametrize("kind", CONTRACTS)
def test_every_promise_is_one_sentence(kind):
    for promise in promises_of(CONTRACTS[kind]):
        assert promise.sentence.endswith("."), promise.name
        assert promise.sentence[0].isupper()


def test_what_was_seen_is_told_with_file_and_line():
    (found,) = broken_promises("sampler", Brighter())
    assert found.problem == "a flat image of 0.3333 gives a view with values from 0.3367 to 0.3367"
    file, line = found.where.rsplit(":", 1)
    assert file.endswith("test_testing_kit.py")
    assert "def draw" in Path(__file__).read_text().splitlines()[int(line) - 1]


def test_the_global_generator_at_fault_is_named():
    (found,) = broken_promises("sampler", Elsewhere())
    assert "global generator of Python" in found.problem


class Gains(Good):
    """Good as it comes, and brighter or darker at both ends of its range."""

    def __init__(self, gain: Annotated[float, Range(0.5, 2.0)] = 1.0):
        self.gain = gain

    def cut(self, image):
        return rows(self.gain * image)


def failures(case):
    found = []
    for name in dir(case):
        if name.startswith("test_"):
            try:
                getattr(case(), name)()
            except (AssertionError, ParameterError):
                found.append(name)
    return found


def test_a_class_of_two_lines_tests_both_ends_of_every_range():
    case = type("Mine", (CONTRACTS["sampler"],), {"sampler": Gains()})
    assert failures(case) == ["test_flat_stays_flat[gain=0.5]", "test_flat_stays_flat[gain=2.0]"]
    alone = type("Mine", (CONTRACTS["sampler"],), {"sampler": Gains(), "every_setting": False})
    assert failures(alone) == []


def test_what_only_its_author_can_make_is_tested_as_it_is():
    class Given(Good):
        def __init__(self, table):
            self.table = table

    case = type("Mine", (CONTRACTS["sampler"],), {"sampler": Given([1])})
    assert failures(case) == []
    assert {name for name in dir(case) if name.startswith("test_")} == names("sampler")


def test_a_setting_that_cannot_be_made_fails_its_tests():
    class Picky(Gains):
        def __init__(self, gain: Annotated[float, Range(1.0, 2.0)] = 1.0):
            if gain != 1:
                raise ParameterError("no")
            super().__init__(gain)

    case = type("Mine", (CONTRACTS["sampler"],), {"sampler": Picky()})
    assert len(failures(case)) == len(names("sampler"))


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
