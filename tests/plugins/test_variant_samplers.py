"""The samplers of the field on tiny images worked by hand."""

from collections import Counter

import pytest
import torch

from n2n_ablate import ImageError, ParameterError
from n2n_ablate.testing import picture, rng
from n2n_ablate_plugins.asymmetric import AsymmetricDiagonal
from n2n_ablate_plugins.correlated import CorrelatedGaussian, Stripes
from n2n_ablate_plugins.neighbor2neighbor import RandomNeighbor
from n2n_ablate_plugins.noise2fast import Checkerboard
from n2n_ablate_plugins.noises import Gaussian, Poisson
from n2n_ablate_plugins.pixel2pixel import PixelBank
from n2n_ablate_plugins.pixel_shuffle import PixelShuffle
from n2n_ablate_plugins.quad import Quad
from n2n_ablate_plugins.random_partition import RandomPartition
from n2n_ablate_plugins.recorruption import Recorruption
from n2n_ablate_plugins.s3pool import S3Pool
from n2n_ablate_plugins.schedule import Schedule
from n2n_ablate_plugins.stripe import Stripe
from n2n_ablate_plugins.thinning import PoissonThinning
from n2n_ablate_plugins.three_by_three import ThreeByThree
from n2n_ablate_plugins.zs_acl import CrossX
from n2n_ablate_plugins.zs_n2n import Diagonal

CELL = [1, 2], [8, 3]
CORRELATED = (
    *(Diagonal(), Stripe(), Stripe(axis="rows"), PixelShuffle()),
    *(ThreeByThree(), CrossX(), RandomNeighbor(), Checkerboard(axis="rows")),
)


def image(*rows):
    return torch.tensor([[rows]], dtype=torch.float32)


def cut(sampler, noisy, seed=0):
    return sampler.draw(noisy, rng(seed))(noisy)


def values(sampler, *rows, seed=0):
    """Views of an image of one cell, as numbers."""
    return tuple(view.item() for view in cut(sampler, image(*rows), seed))


def drawn(sampler, count=3000):
    """How often each result comes for the pixels of `CELL`."""
    side = 2 * round(count**0.5)
    views = cut(sampler, image(*CELL).repeat(1, 1, side // 2, side // 2))
    pairs = zip(*(view.flatten().tolist() for view in views), strict=True)
    return Counter(pairs)


def evenly(counts, expected):
    total = sum(counts.values())
    assert set(counts) == expected
    for count in counts.values():
        assert count / total == pytest.approx(1 / len(expected), abs=0.04)


def test_asymmetric_diagonal_worked_by_hand():
    # .25 * 2 + .75 * 8 and .25 * 1 + .75 * 3
    assert values(AsymmetricDiagonal(share=0.25), *CELL) == (6.5, 2.5)
    assert values(AsymmetricDiagonal(share=0.5), *CELL) == values(Diagonal(), *CELL)
    # By default .35 * 2 + .65 * 8 and .35 * 1 + .65 * 3
    assert values(AsymmetricDiagonal(), *CELL) == pytest.approx((5.9, 2.3))


def test_cross_x_worked_by_hand():
    cross, x = cut(
        CrossX(),
        image([0, 4, 0, 0, 0], [8, 5, 4, 0, 0], [0, 0, 10, 0, 0], [0] * 5, [0] * 5),
    )
    # Top left: cross (4 + 8 + 4 + 0) / 4, X (5 + 10) / 5. The next window starts two columns on.
    assert cross.tolist() == [[[[4, 1], [0, 0]]]]
    torch.testing.assert_close(x, image([3, 2], [2, 2]))


def test_quad_worked_by_hand():
    assert values(Quad(), *CELL) == (1, 2, 8, 3)
    assert len(Quad().pairs) == 12
    assert Quad(pairs_of_views="ring").pairs == ((0, 1), (1, 3), (3, 2), (2, 0))
    sides = {(0, 1), (2, 3), (0, 2), (1, 3)}  # of [[0, 1], [2, 3]]
    for name, edges in (("neighbors", sides), ("diagonal", {(0, 3), (1, 2)})):
        pairs = Quad(pairs_of_views=name).pairs
        assert sorted(pairs) == sorted(edges | {(j, i) for i, j in edges})


def test_checkerboard_worked_by_hand():
    views = cut(Checkerboard(), image([1, 2, 3, 4], [5, 6, 7, 8]))
    assert [view[0, 0].tolist() for view in views] == [
        [[1, 6, 3, 8]],
        [[5, 2, 7, 4]],
        [[1, 3], [6, 8]],
        [[2, 4], [5, 7]],
    ]
    assert len(cut(Checkerboard(axis="columns"), picture(1, 3, 6, 7))) == 2
    assert Checkerboard().pairs == ((0, 1), (1, 0), (2, 3), (3, 2))  # colours of one axis
    assert Checkerboard(axis="rows").pairs == ((0, 1), (1, 0))


def test_one_pair_of_the_checkerboard_per_step_is_a_schedule():
    both = (Checkerboard(axis="rows"), Checkerboard(axis="columns"))
    turns = Schedule(both, order="turns")
    noisy = picture(1, 1, 4, 6)
    shapes = [cut(turns.at(step, 10), noisy)[0].shape[2:] for step in range(4)]
    assert shapes == [(2, 6), (4, 3), (2, 6), (4, 3)]


def test_s3pool_takes_the_other_row_and_the_other_column():
    found = {values(S3Pool(), *CELL, seed=seed) for seed in range(40)}
    assert found == {(1, 3), (3, 1), (2, 8), (8, 2)}
    both = {values(S3Pool(second="independent"), *CELL, seed=seed) for seed in range(300)}
    assert len(both) == 16


def test_s3pool_shares_rows_and_columns():
    places = torch.arange(64.0).view(1, 1, 8, 8).repeat(1, 3, 1, 1)
    first, second = cut(S3Pool(), places)
    for view in (first, second):
        assert torch.equal(view // 8, (view // 8)[:, :1, :, :1].expand_as(view))
        assert torch.equal(view % 8, (view % 8)[:, :1, :1, :].expand_as(view))
    assert ((first // 8).long() ^ (second // 8).long() == 1).all()


def test_random_partition_draws_halves_and_their_order():
    diagonals = {(5, 2), (2, 5)}
    evenly(drawn(RandomPartition()), diagonals)
    columns, rows = {(2.5, 4.5), (4.5, 2.5)}, {(1.5, 5.5), (5.5, 1.5)}
    evenly(drawn(RandomPartition(partitions="all")), diagonals | columns | rows)
    assert set(drawn(RandomPartition(chance=0.0))) == {values(Diagonal(), *CELL)}


def test_random_neighbor_draws_each_of_eight_ordered_pairs():
    pairs = {(1, 2), (1, 8), (2, 3), (8, 3)}
    evenly(drawn(RandomNeighbor()), pairs | {(b, a) for a, b in pairs})


def test_pixel_shuffle_worked_by_hand():
    sampler = PixelShuffle(factor=2, turn=0.5)
    views = cut(sampler, torch.arange(16.0).view(1, 1, 4, 4))
    assert [view.flatten().tolist() for view in views] == [
        [0, 2, 8, 10],
        [1, 3, 9, 11],
        [4, 6, 12, 14],
        [5, 7, 13, 15],
    ]
    assert sampler.pairs == ((0, 2), (1, 3), (2, 0), (3, 1))


def test_pixel_shuffle_of_the_paper_turns_by_12_of_25():
    assert PixelShuffle().pairs == tuple((k, (k + 12) % 25) for k in range(25))
    for turn in (0.0, 1.0):
        assert all(first != second for first, second in PixelShuffle(turn=turn).pairs)


def test_pixel_bank_finds_the_twin_of_every_pixel():
    tile = picture(1, 3, 8, 4)
    noisy = tile.repeat(1, 1, 1, 2)  # every pixel has one twin, four columns away
    sampler = PixelBank(members=2, patch=1).prepare(noisy, None)
    places = torch.arange(64.0).view(1, 1, 8, 8)
    first, second = cut(sampler, places)
    assert torch.equal((first - second).abs(), torch.full_like(first, 4))
    torch.testing.assert_close(cut(sampler, noisy), (noisy, noisy))


def test_pixel_bank_compares_surroundings_within_the_window():
    noisy = picture(1, 1, 12, 24)
    bank = PixelBank(members=2, window=8, patch=1).prepare(noisy, None).numbers
    rows, columns = bank // 24, bank % 24
    assert (rows[1] - rows[0]).abs().max() <= 4
    assert (columns[1] - columns[0]).abs().max() <= 4
    place = 5 * 24 + 9
    around = noisy[0, 0, 1:9, 5:13] - noisy[0, 0, 5, 9]  # rows 1..8, columns 5..12
    around[4, 4] = torch.inf
    best = int(around.abs().argmin())
    assert bank[0, 5, 9] == place
    assert bank[1, 5, 9] == (1 + best // 8) * 24 + 5 + best % 8


def test_thinning_deals_whole_photons():
    noisy = image([0.0, 0.3], [1.0, 2.5])  # 0, 3, 10 and 25 photons
    sampler = PoissonThinning(share=0.3, lam=10.0).prepare(noisy, None)
    first, second = cut(sampler, noisy)
    dealt = 10 * 0.3 * first
    torch.testing.assert_close(dealt, dealt.round())
    torch.testing.assert_close(0.3 * first + 0.7 * second, noisy)


def test_thinning_knows_the_photons_of_poisson_noise_alone():
    noisy = image([0.5, 0.5], [0.5, 0.5])
    prepared = PoissonThinning().prepare(noisy, Poisson(lam=20.0))
    assert prepared.photons.unique().tolist() == [10]
    for noise in (None, Gaussian(), Poisson(clip=True)):
        with pytest.raises(ParameterError, match=r"unclipped Poisson noise, got .* parameter lam"):
            PoissonThinning().prepare(noisy, noise)


def test_recorruption_is_its_formula():
    noisy = picture(1, 3, 64, 64)
    sampler = Recorruption(alpha=0.2).prepare(noisy, Gaussian(sigma=25.0))
    first, second = cut(sampler, noisy)
    torch.testing.assert_close((noisy - 0.8 * first) / 0.2, second, rtol=1e-3, atol=1e-4)
    added = (first - noisy) * 255
    assert added.std() == pytest.approx(25 * (0.2 / 0.8) ** 0.5, rel=0.05)
    for noise in (None, Poisson()):
        with pytest.raises(ParameterError, match="Gaussian noise of known strength"):
            Recorruption().prepare(noisy, noise)


@pytest.mark.parametrize(
    ("sampler", "name", "size"),
    [
        (AsymmetricDiagonal(), "asymmetric-diagonal", 2),
        (CrossX(), "cross-x", 3),
        (Quad(), "quad", 2),
        (Checkerboard(), "checkerboard", 2),
        (S3Pool(), "s3pool", 2),
        (RandomPartition(), "random-partition", 2),
        (RandomNeighbor(), "random-neighbor", 2),
        (PixelShuffle(), "pixel-shuffle", 5),
        (PixelBank(), "pixel-bank", 4),
    ],
)
def test_a_tiny_image_is_refused_by_name_and_size(sampler, name, size):
    with pytest.raises(ImageError, match=f"'{name}' .* at least {size}x{size} pixels, got 6x1"):
        sampler.draw(torch.rand(1, 3, 6, 1, generator=rng()), rng())
    assert all(view.numel() for view in cut(sampler, picture(1, 3, size, size)))


@pytest.mark.parametrize(
    ("noise", "leaks"),
    [
        # In the order of `CORRELATED`: published and our own measurements. Stripes of cross-x by
        # hand: (1/4, 1/2, 1/4) times (2/5, 1/5, 2/5) is 3/10, times itself 3/8.
        (CorrelatedGaussian(blur=0.5), (0.49, 0.26, 0.26, 0.00, 0.46, 0.55, 0.26, 0.26)),
        (CorrelatedGaussian(blur=0.8), (0.93, 0.67, 0.67, 0.02, 0.77, 0.87, 0.67, 0.67)),
        (CorrelatedGaussian(blur=1.2), (0.99, 0.84, 0.84, 0.15, 0.87, 0.92, 0.84, 0.84)),
        (Stripes(axis="rows", white=0.0), (1.00, 1.00, 0.00, 0.01, 0.68, 0.80, 0.50, 0.00)),
        (Stripes(axis="columns", white=0.0), (1.00, 0.00, 1.00, 0.01, 0.68, 0.80, 0.50, 1.00)),
    ],
)
def test_correlated_noise_leaks_as_theory_says(noise, leaks):
    """cov(D1 e, D2 e) / var(D1 e) over several draws of pure noise."""
    for sampler, expected in zip(CORRELATED, leaks, strict=True):
        together, own, generator = 0.0, 0.0, rng()
        for _ in range(20):
            error = noise.apply(torch.zeros(1, 1, 100, 100), generator)
            views = cut(sampler, error)
            for first, second in getattr(sampler, "pairs", ((0, 1),)):
                together += float((views[first] * views[second]).mean())
                own += float(views[first].square().mean())
        assert together / own == pytest.approx(expected, abs=0.06), sampler
