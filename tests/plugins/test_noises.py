"""Strength, mean, clipping and repeatability of the noise models."""

import pytest
import torch

from n2n_ablate.testing import picture, rng
from n2n_ablate_plugins.noises import Gaussian, Poisson


def flat(gray, side=256):
    return torch.full((1, 1, side, side), gray)


def seeds(noise):
    return noise.apply(picture(1, 3, 8, 8), rng(0)), noise.apply(picture(1, 3, 8, 8), rng(0))


@pytest.mark.parametrize("sigma", [1.0, 25.0, 100.0])
def test_gaussian_sigma_counts_on_the_0_to_255_scale(sigma):
    error = Gaussian(sigma=sigma, clip=False).apply(flat(0.5), rng()) - 0.5
    assert error.std() * 255 == pytest.approx(sigma, rel=0.05)
    assert abs(error.mean()) * 255 < 0.05 * sigma


@pytest.mark.parametrize("gray", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("lam", [10.0, 50.0])
def test_poisson_has_mean_x_and_variance_x_over_lam(gray, lam):
    noisy = Poisson(lam=lam).apply(flat(gray), rng())
    assert noisy.mean() == pytest.approx(gray, rel=0.05)
    assert noisy.var() == pytest.approx(gray / lam, rel=0.05)


def test_poisson_counts_photons():
    counts = Poisson(lam=25.0).apply(flat(0.5), rng()) * 25
    torch.testing.assert_close(counts, counts.round())


def test_clip_is_on_for_gaussian_and_off_for_poisson():
    for noise, clipped in (
        (Gaussian(), True),
        (Gaussian(clip=False), False),
        (Poisson(), False),
        (Poisson(clip=True), True),
    ):
        noisy = noise.apply(flat(1.0), rng())
        assert (noisy.max() <= 1) == clipped
        assert noisy.min() >= 0 or not clipped


def test_clipping_changes_nothing_else():
    clean = picture(1, 3, 16, 16)
    free = Gaussian(clip=False).apply(clean, rng())
    assert torch.equal(Gaussian().apply(clean, rng()), free.clamp(0, 1))


@pytest.mark.parametrize("noise", [Gaussian(), Poisson()])
def test_same_seed_same_noise_and_another_seed_other_noise(noise):
    clean = picture(1, 3, 8, 8)
    first = noise.apply(clean, rng(0))
    assert torch.equal(first, noise.apply(clean, rng(0)))
    assert not torch.equal(first, noise.apply(clean, rng(1)))


@pytest.mark.parametrize("noise", [Gaussian(), Gaussian(sigma=0.0), Poisson()])
def test_clean_image_stays_as_it_is(noise):
    clean = picture(1, 3, 8, 8)
    before = clean.clone()
    noise.apply(clean, rng()).zero_()
    assert torch.equal(clean, before)
