"""Which weights count, and means over turned images, worked by hand."""

import pytest
import torch

from n2n_ablate.testing import picture
from n2n_ablate_plugins.estimators import Flips, Last, TailMean, WeightEma, WindowedVariance


def kept(estimator, weights):
    """What is left of these weights, one per step."""
    value = 100.0  # initial weights, which must never count
    for step, weight in enumerate(weights):
        value += estimator.averaging_weight(step, len(weights)) * (weight - value)
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
    assert Flips(WeightEma(decay=0.9)).averaging_weight(500, 1000) == pytest.approx(0.1)


def flat(*values):
    """Images of one value each, shape (b, 1, 2, 2)."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 2, 2).clone()


def test_windowed_variance_worked_by_hand():
    selector = WindowedVariance(window=20, interval=10).checkpoint_selector(100)
    kept = [
        selector.update(step, flat(value)).item()
        for step, value in ((10, 0.0), (20, 4.0), (30, 6.0), (40, 7.0), (50, 9.0), (60, 9.5))
    ]
    # variances of neighbours: 4, 1, 1/4, 1, 1/16; the first look has no window yet
    assert kept == [True, True, True, True, False, True]


def test_windowed_variance_is_settled_after_its_patience():
    values = (0.0, 1.0, 4.0, 8.0, 8.0)
    looks = list(zip(range(10, 60, 10), values, strict=True))
    patient = WindowedVariance(window=20, interval=10, patience=30).checkpoint_selector(50)
    hasty = WindowedVariance(window=20, interval=10, patience=20).checkpoint_selector(50)
    assert [patient.update(step, flat(value)).item() for step, value in looks][-1]
    assert not [hasty.update(step, flat(value)).item() for step, value in looks][-1]


def test_windowed_variance_chooses_its_first_window_however_short_its_patience():
    selector = WindowedVariance(window=20, patience=5, interval=10).checkpoint_selector(100)
    kept = [
        selector.update(step, flat(value)).item()
        for step, value in ((10, 0.0), (20, 4.0), (30, 6.0))
    ]
    assert kept == [True, True, False]


def test_fits_of_a_batch_are_judged_apart():
    selector = WindowedVariance(window=20, interval=10).checkpoint_selector(100)
    selector.update(10, flat(0.0, 0.0))
    selector.update(20, flat(1.0, 1.0))
    assert selector.update(30, flat(1.5, 3.0)).tolist() == [True, False]


def test_flips_watch_what_their_estimator_watches():
    assert Flips().checkpoint_selector(100) is None
    assert Flips(WindowedVariance(interval=7)).checkpoint_selector(100).interval == 7
