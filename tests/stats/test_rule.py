"""The rule that decides: intervals, two one-sided tests, families; by hand, by scipy and by statsmodels."""

import math

import numpy as np
import pytest
from scipy import optimize
from scipy import stats as scipy_stats
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from n2n_ablate import stats
from n2n_ablate.stats import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE, Levels, decide, limits

HAND = np.array([0.1, 0.3, 0.2, 0.4])  # mean 0.25, sd 0.12910, standard error 0.06455


def test_levels_of_a_family():
    assert (Levels(1).difference, Levels(1).equivalence) == pytest.approx((0.95, 0.90))
    assert (Levels(6).difference, Levels(6).equivalence) == pytest.approx(
        (1 - 0.05 / 6, 1 - 0.1 / 6)
    )
    assert Levels(0).difference == Levels(1).difference
    critical = Levels(2).critical(4)
    assert critical == pytest.approx((4.176535, 3.182446))  # t tables: 3 df, 1.25 % and 2.5 %


def test_a_t_interval_by_hand():
    low, high = map(float, limits(HAND, 3.182446))
    assert (low, high) == pytest.approx((0.25 - 0.205426, 0.25 + 0.205426), abs=1e-5)
    assert (low, high) == pytest.approx(DescrStatsW(HAND).tconfint_mean(0.05))
    mean, ends = stats.t_interval(HAND)
    assert (mean, ends.low, ends.high) == pytest.approx((0.25, low, high))


@pytest.mark.parametrize("n", [4, 8, 13])
def test_two_one_sided_tests_are_those_of_statsmodels(n):
    rng, margin = np.random.default_rng(n), 0.05
    one = rng.normal(25, 1, (200, n))
    two = one + rng.normal(0.03, 0.03, (200, n))
    for size in (1, 3):
        given = decide(two - one, Levels(size).critical(n), margin)
        ps = [ttost_paired(y, x, -margin, margin)[0] for x, y in zip(one, two, strict=True)]
        assert ((given == EQUIVALENT) == (np.array(ps) <= 0.05 / size)).all()
        assert 5 < (given == EQUIVALENT).sum() < 195


@pytest.mark.parametrize("n", [4, 13])
def test_better_and_worse_are_the_paired_t_test_at_the_share_of_a_family(n):
    values = np.random.default_rng(n).normal(0.5, 1, (300, n))
    given = decide(values, Levels(4).critical(n), 0.0)
    ps = scipy_stats.ttest_1samp(values, 0, axis=1).pvalue
    assert ((given != INCONCLUSIVE) == (ps < 0.05 / 4)).all()
    assert (np.sign(values.mean(1))[given != INCONCLUSIVE] == given[given != INCONCLUSIVE]).all()
    assert stats.t_test(values[0]) == pytest.approx(ps[0])


def hall(t, skewness, n):
    """Hall's transformation of a t statistic, as in the paper."""
    a, b, root = 1 / 3, 1 / 6, math.sqrt(n)
    return (
        t + a * skewness * t**2 / root + a**2 * skewness**2 * t**3 / (3 * n) + b * skewness / root
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_from_fourteen_images_the_outer_limit_of_t_and_hall_counts(sign):
    values = sign * (np.random.default_rng(3).exponential(size=14) - 1)
    critical = stats.t_critical(0.95, 14)
    mean, error = values.mean(), values.std(ddof=1) / math.sqrt(14)
    skewness = scipy_stats.skew(values, bias=False)
    ends = [
        mean - error * optimize.brentq(lambda t, y=y: hall(t, skewness, 14) - y, -50, 50)
        for y in (critical, -critical)
    ]
    plain = (mean - critical * error, mean + critical * error)
    low, high = map(float, limits(values, critical))
    assert (low, high) == pytest.approx((min(ends[0], plain[0]), max(ends[1], plain[1])))
    # A long tail reaches farther: there Hall's limit counts, on the other side that of t.
    assert (high > plain[1]) == (sign > 0)
    assert (low < plain[0]) == (sign < 0)
    assert limits(values[:13], critical)[0] == pytest.approx(
        values[:13].mean() - critical * values[:13].std(ddof=1) / math.sqrt(13)
    )


def test_without_skewness_hall_is_nearly_t():
    values = np.concatenate([np.arange(1, 8), -np.arange(1, 8)]) / 10
    assert limits(values, 2.5) == pytest.approx(
        (-2.5 * values.std(ddof=1) / math.sqrt(14), 2.5 * values.std(ddof=1) / math.sqrt(14))
    )


def test_equivalent_goes_before_better():
    values = np.array([0.010, 0.012, 0.011, 0.009])
    assert decide(values, Levels(1).critical(4), 0.05) == EQUIVALENT
    assert decide(values, Levels(1).critical(4), 0.005) == BETTER
    assert decide(-values, Levels(1).critical(4), 0.005) == WORSE


@pytest.mark.parametrize("margin", [0.0, -1.0])
def test_without_a_margin_nothing_is_equivalent(margin):
    tiny = np.array([1e-9, -1e-9, 2e-9, -2e-9])
    assert decide(tiny + 1e-3 * np.arange(4), Levels(1).critical(4), margin) != EQUIVALENT


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.3, 0.3], [0.0, 0.0]])
def test_without_spread_there_is_no_interval(values):
    low, high = limits(np.array(values), 2.0)
    assert (low, high) == (-math.inf, math.inf)
    assert decide(np.array(values), Levels(1).critical(len(values)), 1.0) == INCONCLUSIVE
    assert stats.t_test(np.array(values)) is None
    assert stats.probability_within(np.array(values), 1.0) is None


def test_arrays_are_decided_as_one_by_one():
    values = np.random.default_rng(0).normal(0.02, 0.05, (3, 5, 14))
    critical = Levels(5).critical(14)
    every = decide(values, critical, 0.05)
    assert every.shape == (3, 5)
    for index in np.ndindex(3, 5):
        assert decide(values[index], critical, 0.05) == every[index]


def test_the_probability_of_equivalence_is_a_t_posterior():
    expected = scipy_stats.t(3, loc=0.25, scale=HAND.std(ddof=1) / 2)
    assert stats.probability_within(HAND, 0.3) == pytest.approx(
        expected.cdf(0.3) - expected.cdf(-0.3)
    )
    assert stats.probability_within(HAND, 0.0) is None
    # The one-sided p values of TOST are the two tails of that posterior.
    tost, lower, upper = ttost_paired(HAND, np.zeros(4), -0.3, 0.3)
    assert stats.probability_within(HAND, 0.3) == pytest.approx(1 - lower[1] - upper[1])
    assert tost == max(lower[1], upper[1])


def test_holm_counts_what_was_not_run():
    assert stats.holm([0.01, 0.04], size=4) == pytest.approx([0.04, 0.12])


def test_leaving_one_out():
    rest = stats.left_out(np.array([1.0, 2.0, 4.0]))
    assert rest.tolist() == [[2.0, 4.0], [1.0, 4.0], [1.0, 2.0]]


def test_wilsons_interval():
    expected = scipy_stats.binomtest(6, 8).proportion_ci(0.95, method="wilson")
    ends = stats.wilson_interval(6, 8)
    assert (ends.low, ends.high) == pytest.approx((expected.low, expected.high))
    assert stats.wilson_interval(0, 5).low == 0
    assert stats.wilson_interval(5, 5).high == pytest.approx(1)


def test_the_second_scope_is_made_of_the_spread_over_seeds():
    values = np.array([[0.1, 0.3], [1.1, 1.3]])  # two images, far apart
    ends = stats.within_images_interval(values)
    half = scipy_stats.t.ppf(0.975, 2) * math.sqrt(0.02 / 4)
    assert (ends.low, ends.high) == pytest.approx((0.7 - half, 0.7 + half))
    assert stats.within_images_interval(values[:, :1]) is None
    assert stats.within_images_interval(np.full((2, 2), 0.4)) is None


@pytest.mark.parametrize("n", [4, 8, 14, 24])
def test_what_is_detectable_is_called_better_in_four_of_five_studies(n):
    critical = Levels(2).critical(n)
    effect = stats.detectable_effect(n, critical[0])
    values = np.random.default_rng(1).normal(effect, 1, (20_000, n))
    share = (decide(values, critical, 0.0) == BETTER).mean()
    assert share == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("n", "size", "share"), [(8, 2, 0.24), (14, 2, 0.80), (24, 9, 0.95)])
def test_the_power_to_call_a_true_zero_equivalent(n, size, share):
    margin = 1.0
    values = np.random.default_rng(2).normal(0, 1, (20_000, n))
    expected = (decide(values, Levels(size).critical(n), margin) == EQUIVALENT).mean()
    assert stats.equivalence_power(n, size, margin) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("n", "size"), [(6, 1), (13, 3), (24, 8), (250, 2)])
def test_with_this_margin_a_true_zero_is_called_equivalent_in_four_of_five_studies(n, size):
    margin = stats.equivalence_margin(n, size)
    values = np.random.default_rng(5).normal(0, 1, (20_000, n))
    share = (decide(values, Levels(size).critical(n), margin) == EQUIVALENT).mean()
    assert share == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("size", "margin"), [(1, 0.3), (3, 0.5), (2, 0.1)])
def test_so_many_images_show_equivalence_and_fewer_do_not(size, margin):
    needed = stats.images_to_show_equivalence(size, margin)
    assert stats.equivalence_power(needed, size, margin) >= 0.8
    assert stats.equivalence_power(needed - 1, size, margin) < 0.8
    # With many images the power is 2 Phi(margin sqrt(n) - z) - 1.
    reach = scipy_stats.norm.isf(0.1) + scipy_stats.norm.isf(0.05 / size)
    assert needed == pytest.approx((reach / margin) ** 2, rel=0.25)


def test_the_spread_that_plans_rest_on_is_rarely_too_small():
    for n in (4, 8, 24):
        sds = np.random.default_rng(n).normal(size=(20_000, n)).std(axis=1, ddof=1)
        covered = np.mean([stats.spread_limit(sd, n) >= 1 for sd in sds[:5_000]])
        assert covered == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(("mean", "size"), [(0.12, 2), (0.01, 2), (0.045, 9), (0.0, 1)])
def test_so_many_images_resolve_a_contrast_and_fewer_do_not(mean, size):
    sd, n, margin = 0.06, 8, 0.05
    needed = stats.images_to_resolve(mean, sd, n, size, margin)
    levels, wide = Levels(size), stats.spread_limit(sd, n)

    def resolved(images):
        halves = [c * wide / math.sqrt(images) for c in levels.critical(images)]
        return halves[0] <= abs(mean) or abs(mean) + halves[1] <= margin

    assert resolved(needed)
    assert not resolved(needed - 1)


@pytest.mark.parametrize(
    ("n", "size", "percent"), [(4, 2, 52), (6, 2, 42), (6, 8, 47), (8, 2, 38), (14, 2, 34)]
)
def test_twice_the_images_narrow_by_more_than_a_root(n, size, percent):
    assert round(100 * stats.narrowing(n, Levels(size).difference)) == percent
    assert stats.narrowing(1, 0.95) is None


def test_a_race_spends_the_error_of_both_intervals():
    design = stats.InterimDesign((8, 12, 16, 20, 24), size=3)
    values = np.random.default_rng(0).normal(size=(40_000, 24))
    missed = np.zeros((2, len(values)), bool)
    for n, critical in zip(design.sizes, design.critical, strict=True):
        t = np.sqrt(n) * values[:, :n].mean(1) / values[:, :n].std(1, ddof=1)
        for row, value in enumerate(critical):
            missed[row] |= abs(t) > value
    assert missed.mean(1) == pytest.approx([0.05 / 3, 0.1 / 3], rel=0.1)
    assert all(a > b for (a, _), (b, _) in zip(design.critical, design.critical[1:], strict=False))


@pytest.mark.parametrize("sizes", [(), (1, 4), (4, 4), (8, 4)])
def test_interim_analyses_come_in_a_sequence(sizes):
    with pytest.raises(ValueError, match="must rise from 2 or more"):
        stats.InterimDesign(sizes)
