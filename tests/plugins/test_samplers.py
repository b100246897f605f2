"""Each sampler on cells worked by hand, and where two readings of the note differ."""

import pytest
import torch

from n2n_ablate import ImageError
from n2n_ablate.testing import picture, rng
from n2n_ablate_plugins.pooling import AvgStochasticPool, MaxAvgPool, MaxStochasticPool
from n2n_ablate_plugins.stripe import Stripe
from n2n_ablate_plugins.three_by_three import ThreeByThree
from n2n_ablate_plugins.zs_n2n import Diagonal, EdgeWeighted

POOLS = [MaxAvgPool(), AvgStochasticPool(), MaxStochasticPool()]
STOCHASTIC = [AvgStochasticPool, MaxStochasticPool]


def image(*rows):
    return torch.tensor([[rows]], dtype=torch.float32)


def cut(sampler, noisy, seed=0):
    return sampler.draw(noisy, rng(seed))(noisy)


def values(sampler, *rows):
    """Views of an image of one cell, as two numbers."""
    first, second = cut(sampler, image(*rows))
    return first.item(), second.item()


def test_diagonal_worked_by_hand():
    # a b      rising b c   -> (2 + 8) / 2
    # c d      falling a d  -> (1 + 3) / 2
    assert values(Diagonal(), [1, 2], [8, 3]) == (5, 2)


def test_cells_lie_where_they_should():
    rising, falling = cut(Diagonal(), image([1, 2, 5, 6, 0], [8, 3, 7, 9, 0], [0, 0, 0, 0, 0]))
    assert rising.tolist() == [[[[5, 6.5]]]]
    assert falling.tolist() == [[[[2, 7]]]]


@pytest.mark.parametrize(
    ("weight", "divisor", "expected"),
    [
        # rising = .5 (b + c) + w (a + d) = 5 + 4 w, falling = .5 (a + d) + w (b + c) = 2 + 10 w
        (0.1, "sum", (5.4 / 1.2, 3 / 1.2)),
        (0.1, "text", (5.4 / 1.1, 3 / 1.1)),
        (-0.1, "sum", (4.6 / 0.8, 1 / 0.8)),
        (-0.1, "text", (4.6 / 0.8, 1 / 0.8)),
        (0.0, "sum", (5, 2)),
        (0.0, "text", (5, 2)),
    ],
)
def test_edge_weighted_worked_by_hand(weight, divisor, expected):
    sampler = EdgeWeighted(weight=weight, divisor=divisor)
    assert values(sampler, [1, 2], [8, 3]) == pytest.approx(expected)


def test_edge_weight_0_is_diagonal():
    noisy = picture(1, 3, 9, 8)
    edge, diagonal = cut(EdgeWeighted(weight=0.0), noisy), cut(Diagonal(), noisy)
    assert all(map(torch.equal, edge, diagonal))
    assert not EdgeWeighted(weight=0.0).leaks


def test_only_the_text_with_a_positive_weight_changes_the_gray():
    assert EdgeWeighted().preserves_mean
    assert EdgeWeighted(weight=-0.1, divisor="text").preserves_mean
    assert not EdgeWeighted(divisor="text").preserves_mean
    gain = values(EdgeWeighted(divisor="text"), [1, 1], [1, 1])
    assert gain == pytest.approx((1.2 / 1.1, 1.2 / 1.1))


def test_three_by_three_worked_by_hand():
    cell = [0, 4, 0], [0, 1, 0], [0, 0, 8]
    # The note: (.5 * 4 + .01 * 1) / 2.01 and (.5 * 8 + .01 * 1) / 2.01
    assert values(ThreeByThree(), *cell) == pytest.approx((1, 4.01 / 2.01))
    assert values(ThreeByThree(center=0.5), *cell) == pytest.approx((2.5 / 2.5, 4.5 / 2.5))
    assert values(ThreeByThree(center=0.0), *cell) == pytest.approx((1, 2))
    # One arm .25 of 4 * .25 + .01, one corner 1 of 4 * 1 + .01
    sampler = ThreeByThree(arm=0.25, corner=1.0)
    assert values(sampler, *cell) == pytest.approx((1.01 / 1.01, 8.01 / 4.01))


def test_scaling_all_three_weights_changes_nothing():
    noisy = picture(1, 3, 9, 12)
    one = cut(ThreeByThree(center=0.2, arm=0.3, corner=0.4), noisy)
    two = cut(ThreeByThree(center=0.4, arm=0.6, corner=0.8), noisy)
    torch.testing.assert_close(one, two)


def test_stripe_worked_by_hand():
    assert values(Stripe(), [1, 2], [8, 3]) == (2.5, 4.5)  # right column, left column
    assert values(Stripe(axis="rows"), [1, 2], [8, 3]) == (1.5, 5.5)  # top row, bottom row


def test_pools_worked_by_hand():
    cell = [0, 0], [8, 0]  # all of the value in one pixel, so a draw by value must take it
    assert values(MaxAvgPool(), *cell) == (8, 2)
    assert values(AvgStochasticPool(), *cell) == (2, 8)
    assert values(MaxStochasticPool(), *cell) == (8, 8)


@pytest.mark.parametrize("place", range(4))
def test_every_place_of_a_cell_can_be_picked_by_value(place):
    cell = torch.zeros(4)
    cell[place] = 0.3
    _, picked = cut(AvgStochasticPool(), cell.view(1, 1, 2, 2).repeat(1, 3, 5, 5))
    assert (picked == 0.3).all()


def test_value_picks_in_proportion_to_the_value():
    _, picked = cut(AvgStochasticPool(), image([0.1, 0.2], [0.3, 0.4]).repeat(1, 1, 100, 100))
    for value, share in ((0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.4, 0.4)):
        assert (picked == value).float().mean() == pytest.approx(share, abs=0.02)


def test_value_counts_negative_pixels_as_0_and_black_cells_as_equal():
    _, picked = cut(AvgStochasticPool(), image([-0.5, 0.2], [-0.1, 0.2]).repeat(1, 1, 20, 20))
    assert (picked == 0.2).all()
    _, picked = cut(AvgStochasticPool(), image([-1, -2], [-3, 0]).repeat(1, 1, 100, 100))
    for value in (-1, -2, -3, 0):
        assert (picked == value).float().mean() == pytest.approx(0.25, abs=0.02)


def test_value_draws_each_channel_by_itself():
    _, picked = cut(AvgStochasticPool(), picture(1, 1, 16, 16).repeat(1, 3, 1, 1))
    assert not torch.equal(picked[:, 0], picked[:, 1])


def test_spatial_takes_one_row_and_one_column_of_every_two_for_all_channels():
    places = torch.arange(64.0).view(1, 1, 8, 8).repeat(1, 3, 1, 1)
    _, picked = cut(AvgStochasticPool(pick="spatial"), places)
    rows, columns = picked // 8, picked % 8
    assert torch.equal(rows, rows[:, :1, :, :1].expand_as(rows))
    assert torch.equal(columns, columns[:, :1, :1, :].expand_as(columns))
    assert (rows[0, 0, :, 0] // 2).tolist() == [0, 1, 2, 3]
    assert (columns[0, 0, 0, :] // 2).tolist() == [0, 1, 2, 3]


def test_spatial_picks_both_rows_and_both_columns_equally_often():
    places = torch.arange(4.0).view(1, 1, 2, 2)
    counts = torch.zeros(4)
    for seed in range(1000):
        counts[int(cut(AvgStochasticPool(pick="spatial"), places, seed)[1])] += 1
    assert counts.min() > 200


@pytest.mark.parametrize("kind", STOCHASTIC)
@pytest.mark.parametrize("pick", ["value", "spatial"])
def test_each_draw_is_fresh_but_a_split_keeps_its_pixels(kind, pick):
    noisy, generator = picture(1, 3, 16, 16), rng()
    sampler = kind(pick=pick)
    first, second = sampler.draw(noisy, generator), sampler.draw(noisy, generator)
    assert not torch.equal(first(noisy)[1], second(noisy)[1])
    # Pixels of another image, brightest elsewhere: the same places, not the same rule again.
    assert torch.equal(first(1 - noisy)[1], 1 - first(noisy)[1])


@pytest.mark.parametrize("sampler", POOLS)
def test_pools_drop_odd_rests(sampler):
    noisy = picture(1, 1, 4, 6)
    wider = torch.nn.functional.pad(noisy, (0, 1, 0, 1), value=9.0)
    for view, expected in zip(cut(sampler, wider), cut(sampler, noisy), strict=True):
        assert view.max() <= 1
        assert view.shape == expected.shape


@pytest.mark.parametrize(
    ("sampler", "name", "size"),
    [
        (Diagonal(), "diagonal", 2),
        (EdgeWeighted(), "edge-weighted", 2),
        (ThreeByThree(), "three-by-three", 3),
        (Stripe(), "stripe", 2),
        (MaxAvgPool(), "max-avg-pool", 2),
        (AvgStochasticPool(), "avg-stochastic-pool", 2),
        (MaxStochasticPool(), "max-stochastic-pool", 2),
    ],
)
def test_a_tiny_image_is_refused_by_name_and_size(sampler, name, size):
    with pytest.raises(ImageError, match=f"'{name}' .* at least {size}x{size} pixels, got 5x1"):
        sampler.draw(torch.rand(1, 3, 5, 1, generator=rng()), rng())
    views = cut(sampler, picture(1, 3, size, size))
    assert [view.shape for view in views] == [(1, 3, 1, 1)] * 2
