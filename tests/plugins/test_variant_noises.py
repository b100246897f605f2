"""Mean, strength and correlation of the noise models of the field."""

import pytest
import torch

from n2n_ablate import ParameterError
from n2n_ablate.testing import picture, rng
from n2n_ablate_plugins.correlated import CorrelatedGaussian, Stripes
from n2n_ablate_plugins.impulse import RandomImpulse, SaltAndPepper
from n2n_ablate_plugins.noise_sequence import Sequence
from n2n_ablate_plugins.noises import Gaussian, Poisson
from n2n_ablate_plugins.signal_noises import Gamma, PoissonGaussian, Speckle, Uniform


def flat(gray, side=256):
    return torch.full((1, 1, side, side), gray)


def error(noise, gray=0.5, side=256):
    return noise.apply(flat(gray, side), rng()) - gray


@pytest.mark.parametrize("gray", [0.25, 1.0])
@pytest.mark.parametrize(
    ("noise", "variance"),
    [
        (PoissonGaussian(gain=0.04, sigma=25.5), lambda x: 0.04 * x + 0.01),
        (PoissonGaussian(gain=0.0, sigma=25.5), lambda x: 0.01),
        (Speckle(strength=0.2), lambda x: (0.2 * x) ** 2),
        (Gamma(looks=4), lambda x: x**2 / 4),
        (Uniform(bound=25.5), lambda x: 0.01 / 3),
        (CorrelatedGaussian(sigma=25.5, blur=0.0), lambda x: 0.01),
        (CorrelatedGaussian(sigma=25.5, blur=0.5), lambda x: 0.01),
        (CorrelatedGaussian(sigma=25.5, blur=1.2), lambda x: 0.01),
        (Stripes(sigma=25.5, white=51.0), lambda x: 0.01 + 0.04),
    ],
)
def test_mean_and_variance_are_those_of_the_docstring(noise, variance, gray):
    found = error(noise, gray)
    assert found.mean() == pytest.approx(0, abs=0.02)
    assert found.var() == pytest.approx(variance(gray), rel=0.1)


def test_uniform_noise_stays_within_its_bounds_and_reaches_them():
    found = 255 * error(Uniform(bound=10.0))
    assert 9.9 < found.abs().max() <= 10.001


def test_gamma_is_never_negative_and_skewed():
    found = error(Gamma(looks=1), 1.0)
    assert found.min() >= -1
    skew = (found**3).mean() / found.std() ** 3
    assert skew == pytest.approx(2, rel=0.15)  # 2 / sqrt(L)


def test_salt_and_pepper_in_equal_shares():
    noisy = SaltAndPepper(probability=0.2).apply(flat(0.5), rng())
    assert (noisy == 0).float().mean() == pytest.approx(0.1, abs=0.01)
    assert (noisy == 1).float().mean() == pytest.approx(0.1, abs=0.01)
    assert (noisy == 0.5).float().mean() == pytest.approx(0.8, abs=0.01)


def test_salt_and_pepper_of_everything_leaves_nothing():
    noisy = SaltAndPepper(probability=1.0).apply(flat(0.5), rng())
    assert set(noisy.unique().tolist()) == {0, 1}


def test_random_impulse_replaces_its_share_evenly():
    noisy = RandomImpulse(probability=0.3).apply(flat(2.0), rng())
    hit = noisy[noisy != 2]
    assert len(hit) / noisy.numel() == pytest.approx(0.3, abs=0.01)
    assert hit.mean() == pytest.approx(0.5, abs=0.02)
    assert hit.var() == pytest.approx(1 / 12, rel=0.05)


def autocorrelation(field, down, right):
    h, w = field.shape[-2:]
    first, second = field[..., : h - down, : w - right], field[..., down:, right:]
    return float((first * second).mean() / field.square().mean())


@pytest.mark.parametrize("blur", [0.8, 1.2])
@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (1, 1), (0, 2)])
def test_blurred_noise_is_correlated_as_the_docstring_says(blur, shift):
    expected = float(torch.exp(-torch.tensor(sum(d * d for d in shift)) / (4 * blur**2)))
    found = autocorrelation(error(CorrelatedGaussian(blur=blur)), *shift)
    assert found == pytest.approx(expected, abs=0.04)


def test_white_noise_is_what_no_blur_leaves():
    assert abs(autocorrelation(error(CorrelatedGaussian(blur=0.0)), 0, 1)) < 0.02


def test_stripes_are_constant_along_their_axis_and_shared_by_channels():
    clean = torch.full((1, 3, 32, 16), 0.5)
    rows = Stripes(white=0.0).apply(clean, rng())
    assert torch.equal(rows, rows[:, :1, :, :1].expand_as(rows))
    assert rows[0, 0, :, 0].unique().numel() == 32
    columns = Stripes(axis="columns", white=0.0).apply(clean, rng())
    assert torch.equal(columns, columns[:, :1, :1, :].expand_as(columns))


def test_a_sequence_applies_its_noises_in_order_from_one_stream():
    clean, generator = picture(1, 3, 8, 8), rng()
    expected = Gaussian(clip=False).apply(Poisson().apply(clean, generator), generator)
    found = Sequence((Poisson(), Gaussian(clip=False))).apply(clean, rng())
    assert torch.equal(found, expected)
    assert not Sequence((Poisson(), SaltAndPepper())).unbiased
    assert Sequence().unbiased
    with pytest.raises(ParameterError, match="at least one noise"):
        Sequence(())


def test_a_sequence_is_poisson_gaussian():
    found = error(Sequence((Poisson(lam=25.0), Gaussian(sigma=25.5, clip=False))))
    assert found.var() == pytest.approx(0.5 / 25 + 0.01, rel=0.05)


@pytest.mark.parametrize(
    "noise",
    [
        PoissonGaussian(clip=True),
        Speckle(clip=True),
        Gamma(looks=1, clip=True),
        Uniform(clip=True),
        CorrelatedGaussian(clip=True),
        Stripes(clip=True),
    ],
)
def test_clip_cuts_to_0_to_1(noise):
    noisy = noise.apply(flat(1.0, 64), rng())
    assert 0 <= noisy.min() <= noisy.max() == 1
