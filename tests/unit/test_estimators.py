"""Which weights count, and means over turned images, worked by hand."""

import pytest
import torch

from n2n_ablate.testing import picture
from n2n_ablate_plugins.estimators import Flips, Last, TailMean, WeightEma


def kept(estimator, weights):
    """What is left of these weights, one per step."""
    value = 100.0  # initial weights, which must never count
    for step, weight in enumerate(weights):
        value += estimator.blend(step, len(weights)) * (weight - value)
    return value


def test_last_keeps_the_last():
    assert kept(Last(), [1, 2, 6]) == 6


def test_tail_mean_is_the_plain_mean_of_the_last_steps():
    assert kept(TailMean(last=2), [7, 2, 6]) == pytest.approx(4)
    assert kept(TailMean(last=3), [7, 2, 6]) == pytest.approx(5)
    assert kept(TailMean(last=99), [7, 2, 6]) == pytest.approx(5)
    assert kept(TailMean(last=1), [7, 2, 6]) == 6


def test_ema_begins_as_a_plain_mean():
    assert kept(WeightEma(decay=0.9), [7, 2, 6]) == pytest.approx(5)
    assert kept(WeightEma(decay=0.5), [7, 2, 6]) == pytest.approx(((7 + 2) / 2 + 6) / 2)


def test_flips_are_the_mean_over_the_eight_symmetries():
    asked = []

    def corner(*images):
        """Mark the top left pixel: only the eight symmetries spread it over all four corners."""
        asked.append(images[0].shape[-2:])
        marked = torch.zeros_like(images[0])
        marked[..., 0, 0] = 1
        return (marked,)

    out = Flips().estimate(corner, picture(1, 1, 3, 4))
    expected = torch.zeros(1, 1, 3, 4)
    expected[..., [0, 0, -1, -1], [0, -1, 0, -1]] = 0.25
    assert torch.equal(out, expected)
    assert sorted(asked) == 4 * [(3, 4)] + 4 * [(4, 3)]


def test_flips_of_the_identity_give_the_image_back():
    noisy = picture(2, 3, 5, 8)
    torch.testing.assert_close(Flips().estimate(lambda *images: images, noisy), noisy)


def test_flips_use_the_weights_of_their_estimator():
    assert Flips(WeightEma(decay=0.9)).blend(500, 1000) == pytest.approx(0.1)
