"""PSNR worked by hand, SSIM against scikit-image."""

import re

import pytest
import torch
from helpers.program import here
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from n2n_ablate.testing import picture
from n2n_ablate_plugins.metrics import Psnr, Ssim


def measure(metric, denoised, clean):
    return metric.measure(denoised, clean, denoised)


def test_a_constant_error_of_a_tenth_is_20_db():
    clean = torch.full((2, 3, 8, 8), 0.5)
    torch.testing.assert_close(measure(Psnr(), clean + 0.1, clean), torch.full((2,), 20.0))


def test_denoised_is_clamped_before_it_is_compared():
    clean = torch.ones(1, 1, 8, 8)
    assert measure(Psnr(), clean + 5, clean) == 100
    assert measure(Ssim(), clean + 5, clean) == pytest.approx(1)


def test_identical_images_stop_at_100_db():
    clean = picture(2, 3, 8, 8)
    assert measure(Psnr(), clean, clean).tolist() == [100, 100]
    nearly = clean + 1e-7  # 140 dB
    assert measure(Psnr(), nearly, clean).tolist() == [100, 100]


def test_a_diverged_image_is_not_turned_into_a_number():
    broken = torch.full((1, 1, 12, 12), torch.nan)
    assert measure(Psnr(), broken, picture(1, 1, 12, 12)).isnan()
    assert measure(Ssim(), broken, picture(1, 1, 12, 12)).isnan()


def test_psnr_is_that_of_scikit_image():
    clean, noisy = picture(1, 3, 15, 18), picture(1, 3, 15, 18, seed=1)
    expected = peak_signal_noise_ratio(clean.numpy(), noisy.numpy(), data_range=1)
    assert measure(Psnr(), noisy, clean).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 32, 40), (1, 1, 11, 11), (1, 3, 33, 12)])
@pytest.mark.parametrize("strength", [0.02, 0.5])
def test_ssim_is_that_of_scikit_image(shape, strength):
    rows = torch.linspace(0, 1, shape[-2]).view(-1, 1)
    clean = (rows * picture(*shape)).clamp(0, 1)
    denoised = clean + strength * (picture(*shape, seed=1) - clean)
    expected = [
        structural_similarity(
            one.numpy(),
            other.numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=0,
        )
        for one, other in zip(clean, denoised, strict=True)
    ]
    assert measure(Ssim(), denoised, clean).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("side", [(10, 10), (9, 30), (3, 2), (1, 7)])
def test_ssim_takes_a_smaller_window_on_small_images(side):
    clean, noisy = picture(1, 3, *side), picture(1, 3, *side, seed=1)
    assert measure(Ssim(), clean, clean).item() == pytest.approx(1)
    assert measure(Ssim(), noisy, clean) < 0.99


def test_ssim_of_one_pixel_worked_by_hand():
    # A window of one pixel has no variance: (2 x y + C1) / (x^2 + y^2 + C1) is left.
    x, y = 0.2, 0.6
    value = measure(Ssim(), torch.full((1, 1, 1, 1), x), torch.full((1, 1, 1, 1), y))
    assert value.item() == pytest.approx((2 * x * y + 1e-4) / (x**2 + y**2 + 1e-4))


def test_both_say_that_more_is_better():
    assert Psnr().higher_is_better
    assert Ssim().higher_is_better
    assert Psnr().unit == "dB"


def test_what_a_metric_costs_is_on_its_page(folder):
    shown = " ".join(here("plugins", "ssim", folder=folder).stdout.split())
    assert re.search(r"cost [\d.]+ ms per curve point, some 25 to a fit \(3 x 256 x 256", shown)
