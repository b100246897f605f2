"""What is measured of a sampler agrees with what algebra says, and its errors are what they say."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy import ndimage, signal

from n2n_ablate import images
from n2n_ablate.diagnostics import Estimate, Probe
from n2n_ablate.diagnostics.measure import LARGEST, diagnose, flat_probes
from n2n_ablate.diagnostics.model import Concern, clear_leak, concerns, to_json
from n2n_ablate.errors import ImageError
from n2n_ablate.report.text.diagnostics import concern_text
from n2n_ablate_plugins.blind_spot import Noise2Self, Noise2Void
from n2n_ablate_plugins.noises import Gaussian, Poisson
from n2n_ablate_plugins.pooling import AvgStochasticPool, MaxAvgPool, MaxStochasticPool
from n2n_ablate_plugins.recorruption import Recorruption
from n2n_ablate_plugins.stripe import Stripe
from n2n_ablate_plugins.three_by_three import ThreeByThree
from n2n_ablate_plugins.zs_n2n import Diagonal, EdgeWeighted

SIGMA = 25.0
WHITE = Gaussian(SIGMA, clip=False)
PHOTO = [Probe(item.name, item.cropped(96).pixels) for item in images.builtin(["coffee", "rocket"])]


def figures(sampler, noise=WHITE, probes=(), **options):
    return diagnose(sampler, noise, probes, **options).total


def close(estimate, expected):
    """Within four standard errors, and those small enough for the test to mean something."""
    assert estimate.error < 0.02
    assert abs(estimate.value - expected) < 4 * estimate.error + 1e-9
    return True


@dataclass(frozen=True)
class Rows:
    """Noise that is the same along every row, and in every channel."""

    across: int = -1

    def apply(self, clean, rng):
        shape = [1, 1, *clean.shape[-2:]]
        shape[self.across] = 1
        return clean + 0.1 * torch.randn(shape, generator=rng)


@dataclass(frozen=True)
class Blurred:
    """White noise, blurred: correlated from pixel to pixel."""

    radius: float

    def apply(self, clean, rng):
        white = torch.randn(clean.shape, generator=rng).numpy()
        blur = (0, 0, self.radius, self.radius)
        return clean + 0.1 * torch.from_numpy(ndimage.gaussian_filter(white, blur, mode="wrap"))


# White noise: algebra


@pytest.mark.parametrize(
    ("sampler", "leak", "back", "views"),
    [
        (Diagonal(), 0, 0, (0.5**0.5, 0.5**0.5)),
        (Stripe(), 0, 0, (0.5**0.5, 0.5**0.5)),
        (ThreeByThree(center=0), 0, 0, (0.5, 0.5)),
        (ThreeByThree(center=0.5), 0.2, 0.2, (1.25**0.5 / 2.5, 1.25**0.5 / 2.5)),
        (EdgeWeighted(0.1), 0.1 / 0.26, 0.1 / 0.26, (0.52**0.5 / 1.2,) * 2),
        (EdgeWeighted(-0.1), -0.1 / 0.26, -0.1 / 0.26, (0.52**0.5 / 0.8,) * 2),
        (AvgStochasticPool("spatial"), 1, 0.25, (0.5, 1)),
    ],
    ids=str,
)
def test_linear_samplers_under_white_noise(sampler, leak, back, views):
    found = figures(sampler)
    assert close(found.leak, leak)
    assert close(found.back, back)
    assert close(found.noise[0], views[0])
    assert close(found.noise[1], views[1])
    assert found.sigma == pytest.approx(SIGMA, rel=0.01)
    assert abs(found.bias.value) < 4 * found.bias.error
    assert found.gain == pytest.approx((1, 1), abs=1e-5)
    assert found.gap.value == pytest.approx(0, abs=1e-4)  # flat images


def test_the_maximum_of_four_is_biased_and_leaks():
    found = figures(MaxAvgPool())
    assert found.bias.value == pytest.approx(1.0294 * SIGMA, abs=0.1)  # E of the maximum of four
    draws = np.random.default_rng(0).normal(size=(400_000, 4))
    top, mean = draws.max(axis=1), draws.mean(axis=1)
    assert found.leak.value == pytest.approx(np.cov(top, mean)[0, 1] / top.var(), abs=0.01)
    assert found.back.value == pytest.approx(1, abs=0.02)
    assert found.noise[0].value == pytest.approx(top.std(), abs=0.01)
    assert figures(MaxStochasticPool("spatial")).bias.value == pytest.approx(25.7, abs=0.2)


def test_kernels_that_do_not_sum_to_one_have_a_gain():
    found = diagnose(EdgeWeighted(0.1, divisor="text"), WHITE)
    assert found.total.gain == pytest.approx((1.2 / 1.1, 1.2 / 1.1), abs=1e-4)
    assert set(concerns(found)) == {Concern.LEAK, Concern.GAIN}


def first_text(found):
    """The text of the first concern of a diagnosis."""
    return concern_text(concerns(found)[0], found)


# Other noise


def between_diagonals(radius):
    """The leak of the diagonal sampler under blurred noise, from the blur's own correlations."""
    point = np.zeros((63, 63))
    point[31, 31] = 1
    kernel = ndimage.gaussian_filter(point, radius)
    near = signal.fftconvolve(kernel, kernel)[62:, 62:]
    side, across, same = near[0, 1], near[1, 1], near[0, 0]
    return 2 * side / (same + across)  # four neighbours of two pixels each, over two variances


@pytest.mark.parametrize(("radius", "known"), [(0.5, 0.49), (0.8, 0.93), (1.2, 0.99)])
def test_blurred_noise_leaks_between_the_diagonals(radius, known):
    found = figures(Diagonal(), Blurred(radius))
    assert between_diagonals(radius) == pytest.approx(known, abs=0.01)
    assert close(found.leak, between_diagonals(radius))


@pytest.mark.parametrize(
    ("sampler", "leaks"), [(Stripe("rows"), (0, 1)), (Diagonal(), (1, 1)), (Stripe(), (1, 0))]
)
def test_noise_along_rows_and_columns(sampler, leaks):
    for across, expected in zip((-1, -2), leaks, strict=True):
        found = diagnose(sampler, Rows(across))
        assert found.total.leak.value == pytest.approx(expected, abs=4 * found.total.leak.error)
        assert found.total.leak.error < 0.05
        assert (clear_leak(found.total) > 0.9) == bool(expected)


@pytest.mark.parametrize("noise", [Poisson(5.0), Gaussian(50.0, clip=True)], ids=str)
def test_noise_that_depends_on_the_scene_is_no_leak(noise):
    probes = [Probe("dark", PHOTO[1].clean * 0.3), PHOTO[0]]
    assert close(figures(Diagonal(), noise, probes).leak, 0)
    # From one noisy image alone the mean that clipping shifts cannot be told from shared noise.
    rng = torch.Generator().manual_seed(0)
    seen = [Probe(item.name, item.clean, (noise.apply(item.clean, rng),)) for item in probes]
    alone = diagnose(Diagonal(), None, seen)
    assert alone.draws == 1
    assert (alone.total.leak.value > 0.05) == isinstance(noise, Gaussian)


def test_without_noise_there_is_nothing_to_say():
    found = diagnose(Diagonal(), Gaussian(0.0))
    assert np.isnan(found.total.leak.value)
    assert concerns(found) == [Concern.NO_NOISE]
    assert to_json(found)["leak"] is None


# The scene


@pytest.mark.parametrize("sampler", [Diagonal(), Stripe(), ThreeByThree(0.2)], ids=str)
def test_the_gap_is_that_of_the_clean_views(sampler):
    found = diagnose(sampler, WHITE, PHOTO)
    for probe in PHOTO:
        first, second = sampler.draw(probe.clean, None)(probe.clean)
        expected = 255 * float((first - second).square().mean().sqrt())
        assert found.images[probe.name].gap.value == pytest.approx(expected, rel=1e-5)
        assert found.images[probe.name].gap.error < 1e-9
    squares = [item.gap.value**2 for item in found.images.values()]
    assert found.total.gap.value == pytest.approx(np.mean(squares) ** 0.5)
    assert found.total.gap_psnr == pytest.approx(20 * np.log10(255 / found.total.gap.value))


# Samplers of every form


class Ring:
    """Four pixels of a cell, each trained to predict the next, one way."""

    pairs = ((0, 1), (1, 2), (2, 3), (3, 0))

    def draw(self, image, rng):
        return lambda x: (
            x[..., ::2, ::2],
            x[..., ::2, 1::2],
            x[..., 1::2, 1::2],
            x[..., 1::2, ::2],
        )


def test_more_than_two_views_trained_one_way():
    found = diagnose(Ring(), Blurred(0.5))
    point = np.zeros((63, 63))
    point[31, 31] = 1
    kernel = ndimage.gaussian_filter(point, 0.5)
    near = signal.fftconvolve(kernel, kernel)
    assert close(found.total.leak, near[62, 63] / near[62, 62])
    assert not found.both_ways
    assert "back" not in first_text(found)


class Recorrupted:
    """Noise added to one view and taken from the other: independent if it has sigma's size."""

    supports_consistency = False

    def draw(self, image, rng):
        added = SIGMA / 255 * torch.randn(image.shape, generator=rng)
        return lambda image: (image + added, image - added)


class Thinned:
    """Photons dealt to two views by coin tosses; the counts come from the noise model."""

    supports_consistency = False

    def __init__(self, lam=0.0):
        self.lam = lam

    def prepare(self, noisy, noise):
        return Thinned(noise.lam)

    def draw(self, image, rng):
        counts = (image * self.lam).round()
        first = torch.binomial(counts, torch.full_like(counts, 0.5), generator=rng)
        views = 2 * first / self.lam, 2 * (counts - first) / self.lam
        return lambda _: views


@pytest.mark.parametrize(("sampler", "noise"), [(Recorrupted(), WHITE), (Thinned(), Poisson(20.0))])
def test_samplers_that_cannot_cut_a_clean_image(sampler, noise):
    found = figures(sampler, noise, PHOTO)
    assert close(found.leak, 0)
    assert close(found.noise[0], 2**0.5)
    assert np.isnan(found.gain[0])
    assert found.gap.value < 5  # both views show the same scene; the square root of noise is left


def test_a_schedule_is_measured_over_its_steps():
    class Schedule:
        def at(self, step, steps):
            assert 0 <= step < steps == 60
            return EdgeWeighted(0.1) if step % 2 else Stripe()

        def draw(self, image, rng):
            raise NotImplementedError

    found = figures(Schedule(), steps=60)
    assert 0.1 < found.leak.value < 0.3  # half of 0.38, as far as the random steps go
    assert found.leak.error > 0.01


def test_a_sampler_that_writes_into_images_harms_nobody():
    class Writes:
        def draw(self, image, rng):
            image.zero_()

            def split(image):
                views = image[..., ::2].clone(), image[..., 1::2].clone()
                image.zero_()
                return views

            return split

    noisy = WHITE.apply(PHOTO[0].clean, torch.Generator().manual_seed(0))
    clean, kept = PHOTO[0].clean.clone(), noisy.clone()
    assert close(figures(Writes(), WHITE, [Probe("coffee", PHOTO[0].clean, (noisy,))]).leak, 0)
    assert torch.equal(PHOTO[0].clean, clean)
    assert torch.equal(noisy, kept)


# Reproducible, honest, bounded


@pytest.mark.parametrize("sampler", [Diagonal(), MaxStochasticPool()], ids=str)
def test_the_same_twice_and_no_global_randomness(sampler):
    state = torch.get_rng_state()
    first = diagnose(sampler, WHITE, PHOTO)
    torch.manual_seed(1)
    assert diagnose(sampler, WHITE, PHOTO[::-1]).images == first.images
    torch.set_rng_state(state)
    assert diagnose(sampler, WHITE, PHOTO, seed=1).total != first.total


@pytest.mark.slow  # 80 measurements
@pytest.mark.parametrize("noise", [WHITE, Rows()], ids=["white", "rows"])
def test_the_standard_error_is_the_spread_over_seeds(noise):
    probes = flat_probes(side=16, channels=1)[1:]
    found = [figures(EdgeWeighted(0.1), noise, probes, pairs=8, seed=seed) for seed in range(40)]
    spread = np.std([item.back.value for item in found], ddof=1)
    errors = [item.back.error for item in found]
    if noise == WHITE:
        assert np.mean(errors) == pytest.approx(spread, rel=0.3)
    else:  # both views are the same, so there is nothing to be uncertain about
        assert spread < 1e-6
        assert np.mean(errors) < 1e-6
    rows = [figures(Stripe("rows"), noise, probes, pairs=8, seed=seed) for seed in range(40)]
    spread = np.std([item.leak.value for item in rows], ddof=1)
    assert np.mean([item.leak.error for item in rows]) == pytest.approx(spread, rel=0.3)


def test_only_a_leak_beyond_its_error_is_clear():
    assert Estimate(0.05, 0.01, 24).is_clear(0.01)
    assert not Estimate(0.05, 0.02, 24).is_clear(0.01)  # two and a half errors
    assert not Estimate(0.05, 0.01, 2).is_clear(0.01)  # the error itself is hardly known
    assert not Estimate(0.005, 0.0001, 24).is_clear(0.01)  # too small to matter
    assert not Estimate(0.5).is_clear(0.01)
    found = diagnose(ThreeByThree(0.01), WHITE)
    assert clear_leak(found.total) == 0
    assert concerns(found) == [Concern.DECLARED_LEAK_NOT_SEEN]
    assert "declares a leak, but none of 0.01 or more was measured" in first_text(found)


@pytest.mark.parametrize(
    ("error", "told"), [(0.013, "standard error 0.013"), (math.inf, "standard error unknown")]
)
def test_a_declared_leak_that_may_be_there_is_not_said_to_be_unseen(error, told):
    found = diagnose(ThreeByThree(0.01), WHITE)
    leak, back = Estimate(0.036, error, 4), Estimate(0.034, 0.012, 4)
    changed = replace(found, total=replace(found.total, leak=leak, back=back))
    assert concerns(changed) == [Concern.DECLARED_LEAK_NOT_SEEN]
    assert first_text(changed) == (
        f"declares a leak, but it does not differ significantly from 0 (+0.036, back +0.034; {told})."
    )


def test_noisy_images_that_are_there_are_used_first():
    calls = []

    class Counted:
        def apply(self, clean, rng):
            calls.append(1)
            return WHITE.apply(clean, rng)

    rng = torch.Generator().manual_seed(0)
    own = tuple(WHITE.apply(PHOTO[0].clean, rng) for _ in range(3))
    found = diagnose(Diagonal(), Counted(), [Probe("coffee", PHOTO[0].clean, own)], pairs=4)
    assert (found.draws, len(calls)) == (8, 5)


def test_large_images_are_looked_at_in_their_middle():
    seen = []

    class Seen(Diagonal):
        def draw(self, image, rng):
            seen.append(image.shape)
            return super().draw(image, rng)

    found = diagnose(Seen(), WHITE, [Probe("large", torch.rand(1, 1, 700, 600))])
    assert set(seen) == {(1, 1, LARGEST, LARGEST)}
    assert found.draws == 16


def test_bad_input_is_told():
    with pytest.raises(ImageError, match="at least 2x2"):
        diagnose(Diagonal(), WHITE, [Probe("tiny", torch.zeros(1, 1, 1, 1))])
    with pytest.raises(ValueError, match="needs a noisy version"):
        diagnose(Diagonal(), None, PHOTO)


# Words


def test_warnings_say_what_was_measured():
    found = diagnose(MaxAvgPool(), WHITE)
    told = {concern: concern_text(concern, found) for concern in concerns(found)}
    assert told[Concern.LEAK].startswith("leak +0.")
    assert "26 grey levels brighter" in told[Concern.BIAS]
    negative = first_text(diagnose(EdgeWeighted(-0.1), WHITE))
    assert "\u22120.3" in negative
    assert "inverts 0.3" in negative
    assert "No leak is declared" in first_text(diagnose(Diagonal(), Rows()))
    # What adds noise of known strength is right for that noise, and clipping changes it.
    clipped = Recorruption().prepare(PHOTO[0].clean, Gaussian(SIGMA))
    assert "noise that is clipped" in first_text(diagnose(clipped, Gaussian(SIGMA), PHOTO))
    assert concerns(diagnose(clipped, WHITE, PHOTO)) == []
    assert concerns(diagnose(Diagonal(), WHITE, PHOTO)) == []


def test_of_hidden_pixels_alone_is_measured_whether_their_noise_leaks():
    for sampler in (Noise2Void(box=4), Noise2Self()):
        measured = diagnose(sampler, WHITE, PHOTO)
        assert abs(measured.total.leak.value) < 4 * measured.total.leak.error + 0.01
        assert measured.total.noise[1].value == pytest.approx(1, abs=0.05)
        assert math.isnan(measured.total.bias.value)
        assert math.isnan(measured.total.gap.value)
        assert concerns(measured) == []
