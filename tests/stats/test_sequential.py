"""Repeated looks: the error that is spent, the interface, and looks that go wrong."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from n2n_ablate.stats import UNDECIDED, Looks
from n2n_ablate.stats.boundaries import critical_values, obrien_fleming, pocock, squared


def named(values):
    return {str(place): value for place, value in enumerate(values)}


def criticals(sizes, most, alpha, spending):
    return critical_values(sizes, tuple(spending(size / most, alpha) for size in sizes))


def t_statistics(values, sizes):
    sizes = np.array(sizes)
    sums, squares = (np.cumsum(part, axis=1)[:, sizes - 1] for part in (values, values**2))
    return sums / np.sqrt(sizes) / np.sqrt((squares - sums**2 / sizes) / (sizes - 1))


@pytest.mark.parametrize("spending", [squared, obrien_fleming, pocock])
def test_one_look_is_the_t_interval(spending):
    expected = scipy_stats.t.ppf(0.975, 5)
    assert criticals((6,), 6, 0.05, spending) == pytest.approx((expected,))


@pytest.mark.parametrize("spending", [squared, obrien_fleming, pocock])
@pytest.mark.parametrize("sizes", [(4, 6, 8), (4, 8, 16, 24), (2, 3, 4, 5)])
def test_the_error_that_is_spent_at_each_look_is_the_one_allowed(spending, sizes):
    alpha, rounds = 0.05, 60_000
    values = np.random.default_rng(0).normal(size=(rounds, sizes[-1]))
    over = abs(t_statistics(values, sizes)) > criticals(sizes, sizes[-1], alpha, spending)
    first = np.bincount(over.argmax(axis=1)[over.any(axis=1)], minlength=len(sizes)) / rounds
    allowed = np.diff([0, *(spending(size / sizes[-1], alpha) for size in sizes)])
    assert first == pytest.approx(allowed, abs=4 * math.sqrt(alpha / rounds))
    assert over.any(axis=1).mean() == pytest.approx(alpha, abs=3.5 * math.sqrt(alpha / rounds))


def test_the_normal_values_are_those_of_textbooks():
    # Five looks, 5 % two-sided, spending like Pocock: 2.438, 2.427, 2.410 (Lan and DeMets, 1983)
    found = np.array(criticals((20, 40, 60), 100, 0.05, pocock))
    normal = scipy_stats.norm.isf(scipy_stats.t.sf(found, np.array([19, 39, 59])))
    assert normal[0] == pytest.approx(2.438, abs=0.0005)
    assert normal == pytest.approx((2.438, 2.427, 2.410), abs=0.02)


def test_an_early_look_costs_a_little_at_the_end():
    looks = Looks((4, 8, 16, 24))
    plain = scipy_stats.t.ppf(0.975, 23)
    assert plain < looks.critical[-1] < 1.15 * plain
    assert list(looks.critical) == sorted(looks.critical, reverse=True)
    assert Looks((4, 8, 16, 24), contrasts=5).critical[-1] > looks.critical[-1]


def test_a_look_gives_interval_word_and_whether_it_is_settled():
    looks = Looks((4, 8), contrasts=2)
    base = named([30.0] * 8)
    arm = named([29.0, 29.1, 28.9, 29.05, 29.0, 28.95, 29.1, 28.9])
    early = looks.look(1, dict(list(arm.items())[:4]), base | {}, margin=0.05)
    assert early.difference.n == 4
    assert early.difference.critical == pytest.approx(looks.critical[0])
    assert (early.number, early.last) == (1, False)
    end = looks.look(2, arm, base, margin=0.05)
    assert (end.verdict, end.settled, end.last) == ("worse", True, True)
    assert end.difference.level == pytest.approx(0.975)


def test_all_words_can_settle_and_none_settles_nothing():
    looks = Looks((6, 12))
    base = named([0.0] * 6)
    small = np.array([-1, 1, -1, 1, -1, 1.0])
    for mean, sd, word in [
        (1, 0.1, "better"),
        (-1, 0.1, "worse"),
        (0.001, 0.001, "equivalent"),
        (0, 1, UNDECIDED),
    ]:
        found = looks.look(1, named(mean + sd * small), base, margin=0.05)
        assert found.verdict == word
        assert found.settled == (word != UNDECIDED)


def test_images_that_were_lost_shift_the_looks_but_not_the_error():
    looks = Looks((4, 8, 16))
    values = named(np.random.default_rng(0).normal(size=14))
    base = named([0.0] * 14)
    found = looks.look(3, values, base, margin=0.05, before=(4, 7))
    expected = critical_values((4, 7, 14), (0.05 / 16, 0.05 * 49 / 256, 0.05))
    assert found.difference.critical == pytest.approx(expected[-1])
    middle = looks.look(2, dict(list(values.items())[:7]), named([0.0] * 7), margin=0.05)
    assert middle.difference.critical == pytest.approx(criticals((4, 7), 16, 0.05, squared)[-1])


def test_with_lost_images_the_whole_error_is_spent_and_no_more():
    looks, real = Looks((4, 8, 16)), (4, 7, 14)
    critical = [
        looks.look(
            number, named(np.arange(n)), named([0.0] * n), margin=0.05, before=real[: number - 1]
        ).difference.critical
        for number, n in enumerate(real, 1)
    ]
    values = np.random.default_rng(6).normal(size=(60_000, 14))
    over = (abs(t_statistics(values, real)) > critical).any(axis=1).mean()
    assert over == pytest.approx(0.05, abs=0.003)


def test_a_look_without_new_images_settles_nothing():
    looks = Looks((4, 8, 16))
    arm, base = named([1.0, 1.1, 0.9, 1.0]), named([0.0] * 4)
    found = looks.look(2, arm, base, margin=0.05, before=(4,))
    assert math.isinf(found.difference.half_width)
    assert not found.settled
    assert looks.look(1, {}, base, margin=0.05) is None
    single = looks.look(1, {"0": 1.0}, {"0": 0.0}, margin=0.05)
    assert not single.settled


def test_a_look_without_new_images_spends_nothing_and_the_race_goes_on():
    looks = Looks((4, 6, 8))
    arm, base = named(np.arange(6)), named([0.0] * 6)
    (_, expected) = critical_values((4, 6), (0.05 * (4 / 8) ** 2, 0.05))
    for before in ((4, 4), (0, 1, 4, 4)):
        found = looks.look(3, arm, base, margin=0.05, before=before)
        assert found.difference.critical == pytest.approx(expected)


@pytest.mark.parametrize("sizes", [(), (1, 4), (4, 4), (8, 4)])
def test_looks_that_do_not_rise_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes must rise"):
        Looks(sizes)


def test_there_is_no_look_after_the_last():
    with pytest.raises(ValueError, match="looks 1 to 2"):
        Looks((4, 8)).look(3, {}, {}, margin=0.05)
    with pytest.raises(ValueError, match="sizes must rise"):
        critical_values((4, 4), (0.01, 0.02))
