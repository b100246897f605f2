"""Metrics without ground truth on residuals whose values are known."""

import numpy as np
import pytest
import torch

from n2n_ablate.images.noise_level import noise_level
from n2n_ablate.testing import picture, rng
from n2n_ablate_plugins.correlated import CorrelatedGaussian
from n2n_ablate_plugins.noises import Gaussian
from n2n_ablate_plugins.truth_free import (
    NoiseLevelError,
    NoiseLevelRatio,
    ResidualSignal,
    ResidualWhiteness,
)

FLAT = torch.full((1, 1, 128, 128), 0.5)


def measure(metric, denoised, noisy):
    clean = torch.full_like(noisy, torch.nan)  # whoever looks at it gives nan
    return metric.measure(denoised, clean, noisy).item()


def test_white_residual_is_white_and_blurred_is_not():
    white = Gaussian(clip=False).apply(FLAT, rng())
    assert measure(ResidualWhiteness(), FLAT, white) < 0.05
    blurred = CorrelatedGaussian(blur=0.8).apply(FLAT, rng())
    expected = float(np.exp(-1 / (4 * 0.8**2)))  # of direct neighbours
    assert measure(ResidualWhiteness(), FLAT, blurred) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("shift", [(0, 3), (3, 0), (2, 1), (2, -1), (3, -3)])
def test_every_shift_up_to_3_pixels_is_looked_at(shift):
    noise = torch.randn((1, 1, 96, 96), generator=rng())
    residual = noise + noise.roll(shift, (2, 3))  # correlation 1/2 at this shift alone
    found = measure(ResidualWhiteness(), torch.zeros_like(residual), residual)
    assert found == pytest.approx(0.5, abs=0.05)


def test_a_chequerboard_is_as_unwhite_as_can_be():
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    board = ((rows + columns) % 2).float().view(1, 1, 8, 8)
    assert measure(ResidualWhiteness(), torch.zeros_like(board), board) == pytest.approx(1)


def test_lost_contrast_shows_in_the_residual():
    clean = picture(1, 1, 64, 64)
    assert measure(ResidualSignal(), clean / 2, clean) == pytest.approx(1)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=rng(1))
    assert measure(ResidualSignal(), clean, noisy) < 0.05
    # residual = -image / 2 + noise: the sign does not count
    assert measure(ResidualSignal(), 2 * clean, clean) == pytest.approx(1)


def test_doing_nothing_and_a_blank_image_are_not_rewarded():
    noisy = picture(1, 3, 16, 16)
    for metric in (ResidualWhiteness(), ResidualSignal()):
        assert measure(metric, noisy, noisy) == 1
    assert measure(ResidualSignal(), torch.zeros_like(noisy), noisy) == 1
    assert measure(NoiseLevelError(), noisy, noisy) == 1


def test_noise_level_error_worked_by_hand():
    noisy = Gaussian(sigma=25.5, clip=False).apply(FLAT, rng())
    assert measure(NoiseLevelError(sigma=25.5), FLAT, noisy) == pytest.approx(0, abs=0.02)
    assert measure(NoiseLevelError(sigma=51.0), FLAT, noisy) == pytest.approx(0.5, abs=0.02)
    half = (FLAT + noisy) / 2  # half of the noise is left in
    assert measure(NoiseLevelError(sigma=25.5), half, noisy) == pytest.approx(0.5, abs=0.02)


def test_the_ratio_tells_noise_left_in_from_detail_taken_along():
    noisy = Gaussian(sigma=25.5, clip=False).apply(FLAT, rng())
    ratio = NoiseLevelRatio(sigma=25.5)
    assert measure(ratio, FLAT, noisy) == pytest.approx(1, abs=0.02)
    assert measure(ratio, (FLAT + noisy) / 2, noisy) == pytest.approx(0.5, abs=0.02)
    assert measure(ratio, FLAT - (noisy - FLAT) / 2, noisy) == pytest.approx(1.5, abs=0.03)
    assert measure(NoiseLevelRatio(), FLAT, noisy) == pytest.approx(1, abs=0.04)  # estimated


def test_the_level_is_estimated_as_for_non_local_means():
    noisy = Gaussian(clip=False).apply(picture(1, 1, 65, 64), rng())
    level = noise_level(noisy[0].permute(1, 2, 0).double().numpy())
    left = (noisy - noisy.mean()).double().square().mean().sqrt().item()
    found = measure(NoiseLevelError(), torch.zeros_like(noisy), noisy)
    assert found == pytest.approx(abs(left / level - 1), abs=0.005)
