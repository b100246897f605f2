"""Classical denoisers: the sliding cosine transform against a loop over patches, and as a scale."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from n2n_ablate.engine import classical
from n2n_ablate.engine.classical import non_local_means, sliding_dct
from n2n_ablate.images import builtin


def noisy_pair(image, sigma, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return image + sigma * torch.randn(image.shape, generator=rng)


def by_patches(image, sigma, side, pilot=None):
    """The same in float64, patch after patch, for one channel."""
    edge = side - 1
    image, *pilot = (
        np.pad(each, edge, mode="reflect") for each in (image, *([] if pilot is None else [pilot]))
    )
    total, weights = np.zeros_like(image), np.zeros_like(image)
    for top in range(image.shape[0] - edge):
        for left in range(image.shape[1] - edge):
            here = (slice(top, top + side), slice(left, left + side))
            values = dctn(image[here], norm="ortho")
            if pilot:
                power = dctn(pilot[0][here], norm="ortho") ** 2
                kept = power / (power + sigma**2)
            else:
                kept = (np.abs(values) > 2.7 * sigma).astype(float)
            kept[0, 0] = 1
            total[here] += idctn(kept * values, norm="ortho") / (kept**2).sum()
            weights[here] += 1 / (kept**2).sum()
    return (total / weights)[edge:-edge, edge:-edge]


@pytest.mark.parametrize("values", [4_000_000, 1])
def test_patches_are_shrunk_and_averaged_as_one_by_one(values, monkeypatch):
    monkeypatch.setattr(classical, "_VALUES", values)  # in bands of one row too
    image = noisy_pair(torch.linspace(0, 1, 20 * 24).view(1, 1, 20, 24), 0.1)
    plain = image[0, 0].double().numpy()
    expected = by_patches(plain, 0.1, 16, by_patches(plain, 0.1, 8))
    assert np.abs(sliding_dct(image, 0.1)[0, 0].numpy() - expected).max() < 1e-4


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 4, 3, 40), (1, 3, 9, 9)])
def test_any_image_works_and_without_noise_nothing_changes(shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(sliding_dct(image, 0.0), image, atol=1e-5)
    assert sliding_dct(image, 0.2).isfinite().all()


def test_it_is_a_row_worth_beating():
    (image,) = builtin(["astronaut"])
    clean = image.pixels[..., 200:264, 200:264]
    noisy = noisy_pair(clean, 25 / 255)
    gain = {}
    for method in (non_local_means, sliding_dct):
        error = (method(noisy, 25 / 255).clamp(0, 1) - clean).square().mean()
        gain[method] = -10 * float(error.log10())
    assert gain[sliding_dct] > gain[non_local_means] + 1
