"""What stands beside the verdict: sign flips, bootstrap, power, variance, rankings, curves."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from n2n_ablate.stats import (
    band,
    components,
    crossing,
    detectable_effect,
    peak,
    ranking,
    sign_flip,
    t_critical,
    t_interval,
)
from n2n_ablate.stats.planning import images_for, power
from n2n_ablate.stats.ranking import kendall

values = st.lists(st.floats(-9, 9).map(lambda value: round(value, 3)), min_size=1, max_size=9)


# Sign flips


def test_a_sign_flip_worked_by_hand():
    # |+-1 +-2 +-3| is 6 for two patterns of eight, 4 or more for four
    assert sign_flip([1, 2, 3]).p == 2 / 8
    assert sign_flip([-1, 2, 3]).p == 4 / 8
    assert sign_flip([1, 2, 3]).smallest == 2 / 8
    assert sign_flip([1, 2, 3]).exact
    assert sign_flip([0.0]).p == 1


@given(values)
def test_sign_flips_are_counted_as_one_would(gaps):
    sums = [
        abs(sum(s * gap for s, gap in zip(signs, gaps, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(gaps))
    ]
    expected = np.mean([total >= abs(sum(gaps)) - 1e-9 for total in sums])
    found = sign_flip(gaps)
    assert found.p == pytest.approx(expected)
    assert found.p >= found.smallest
    assert sign_flip([-gap for gap in gaps]).p == found.p


def test_sign_flips_agree_with_scipy():
    gaps = np.random.default_rng(3).normal(0.4, 1, 9)
    expected = scipy_stats.permutation_test(
        (gaps,), np.mean, permutation_type="samples", n_resamples=10_000, vectorized=True
    )
    assert sign_flip(gaps).p == pytest.approx(expected.pvalue)


def test_beyond_sixteen_images_patterns_are_drawn_and_come_out_close():
    gaps = np.random.default_rng(5).normal(0.5, 1, 17)
    found = sign_flip(gaps)
    assert not found.exact
    assert found.smallest == 1 / 10_000
    signs = 2 * ((np.arange(2**17)[:, None] >> np.arange(17)) & 1) - 1
    exact = np.mean(abs(signs @ gaps) >= abs(gaps.sum()) - 1e-9)
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact / 10_000))
    assert sign_flip(gaps) == found  # the seed is fixed
    assert sign_flip([1.0] * 40).p == 1e-4


def test_a_sign_flip_of_nothing_says_so():
    with pytest.raises(ValueError, match="no differences given"):
        sign_flip([])


# Power


@pytest.mark.parametrize(("effect", "n", "expected"), [(0.5, 34, 0.808), (1.0, 10, 0.803)])
def test_power_as_in_textbooks(effect, n, expected):
    """Two-sided paired t at 5 %: Cohen (1988) needs 34 pairs for d = 0.5 and 10 for d = 1."""
    critical = t_critical(0.95, n)
    assert power(effect, n, critical) == pytest.approx(expected, abs=0.001)
    assert power(0.0, n, critical) == pytest.approx(0.05)
    assert power(-effect, n, critical) == pytest.approx(power(effect, n, critical))


@pytest.mark.parametrize("n", [2, 4, 6, 13])
@pytest.mark.parametrize("level", [0.95, 0.995])
def test_what_is_detectable_is_detected_four_times_in_five(n, level):
    critical = t_critical(level, n)
    assert power(detectable_effect(n, critical), n, critical) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(("sd", "half"), [(0.07, 0.025), (1.0, 0.1), (0.001, 5.0), (0.1, 0.1)])
def test_images_for_is_the_first_number_that_is_enough(sd, half):
    n = images_for(sd, half, 0.95)
    assert t_critical(0.95, n) * sd / math.sqrt(n) <= half
    assert n == 2 or t_critical(0.95, n - 1) * sd / math.sqrt(n - 1) > half
    assert images_for(1.0, 1e-9, 0.95) == 100_000


# Variance


def table(matrix):
    return {
        str(image): {seed: float(value) for seed, value in enumerate(row)}
        for image, row in enumerate(matrix)
    }


def pair(first, second):
    return components([([first], [second])])


def test_an_account_worked_by_hand():
    # differences 1 3 | 5 7: within 2, 2; means 2 and 6, so between = 2 * 8 = 16, (16 - 2) / 2 = 7
    found = pair(table([[1, 3], [5, 7]]), table([[0, 0], [0, 0]]))
    assert found.sd_trial_seed == pytest.approx(math.sqrt(2))
    assert found.sd_trial_image == pytest.approx(math.sqrt(7))
    assert found.seed_share == pytest.approx(2 / 16)
    assert (found.n_images, found.n_seeds, found.n_contrasts) == (2, 2, 1)


def test_parts_are_found_again_in_many_drawn_values():
    rng = np.random.default_rng(0)
    n, r = 4000, 3
    shared = rng.normal(0, 3, (n, 1)) + rng.normal(0, 0.2, (n, r))
    arms = [shared + rng.normal(0, 0.12, (n, 1)) + rng.normal(0, 0.07, (n, r)) for _ in range(2)]
    found = pair(table(arms[0]), table(arms[1]))
    assert found.sd_image == pytest.approx(3, rel=0.05)
    assert found.sd_seed == pytest.approx(0.2, rel=0.05)
    assert found.sd_trial_image == pytest.approx(0.12 * math.sqrt(2), rel=0.05)
    assert found.sd_trial_seed == pytest.approx(0.07 * math.sqrt(2), rel=0.05)
    assert found.seed_share == pytest.approx(0.07**2 / (3 * 0.12**2 + 0.07**2), rel=0.1)
    assert found.seed_share_interval.low < found.seed_share < found.seed_share_interval.high


def test_the_interval_of_the_share_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(7)
    true, hits, rounds = 1 / 3, 0, 400
    for _ in range(rounds):
        gaps = rng.normal(0, 1, (6, 1)) + rng.normal(0, 1, (6, 2))
        found = pair(table(gaps), table(np.zeros((6, 2))))
        hits += found.seed_share_interval.low <= true <= found.seed_share_interval.high
    assert hits / rounds == pytest.approx(0.95, abs=0.03)


def test_seeds_alone_are_named_as_the_cause():
    gaps = np.random.default_rng(2).normal(0, 1, (30, 4))
    found = pair(table(gaps), table(np.zeros((30, 4))))
    assert found.sd_trial_image < 0.4
    assert found.seed_share_interval.low > 0.5


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.0], [2.0]],
        [[1.0, 2.0]],
        [[1.0, 1.0], [1.0, 1.0]],
        [[math.nan, 2.0], [math.nan, 1.0]],
    ],
)
def test_what_cannot_be_estimated_is_not_a_number(matrix):
    found = pair(table(matrix), table(np.zeros_like(matrix)))
    assert found.seed_share is None
    assert found.sd_trial_seed is None


def test_an_image_that_lost_a_seed_is_left_out_of_the_account():
    whole = table([[1, 3], [5, 7], [9, 9]])
    del whole["2"][1]
    found = pair(whole, table([[0, 0]] * 3))
    assert found.n_images == 2
    assert components([]).n_contrasts == 0
    none = pair({}, table([[1, 2]] * 5))
    assert none.n_images == 0
    assert pair(table([[1, 2]] * 5), {}).n_images == 0


def test_an_account_of_effects_is_that_of_the_differences_of_their_halves():
    rng = np.random.default_rng(3)
    cells = [rng.normal(0, 1, (5, 2)) for _ in range(4)]
    first, second = (cells[0] + cells[1]) / 2, (cells[2] + cells[3]) / 2
    halves = [(list(map(table, cells[:2])), list(map(table, cells[2:])))]
    found, same = components(halves), pair(table(first), table(second))
    for name in ("sd_trial_image", "sd_trial_seed", "sd_image", "sd_seed", "seed_share"):
        assert getattr(found, name) == pytest.approx(getattr(same, name)), name
    for end in ("low", "high"):
        ends = (getattr(each.seed_share_interval, end) for each in (found, same))
        assert next(ends) == pytest.approx(next(ends))
    lost = [([table(cells[0]), {"0": {0: 1.0}}], list(map(table, cells[2:])))]
    assert components(lost).n_images == 0


# Rankings


def by_image(*arms):
    return [{str(i): float(value) for i, value in enumerate(arm)} for arm in arms]


def test_a_ranking_worked_by_hand():
    # image 0: guide 1 2 3, truth 1 2 3: tau 1, nothing lost; image 1: guide 3 2 1: tau -1, lost 2
    found = ranking(by_image([1, 3], [2, 2], [3, 1]), by_image([1, 1], [2, 2], [3, 3]))
    assert found.tau == 0
    assert found.cost == 1
    assert (found.n_images, found.n_trials) == (2, 3)
    assert (found.tau_interval.low, found.tau_interval.high) == (-1, 1)
    assert found.cost_interval.low == 0


def test_tau_is_that_of_scipy():
    rng = np.random.default_rng(4)
    one, two = rng.integers(0, 5, 12), rng.integers(0, 5, 12)
    assert kendall(one, two) == pytest.approx(scipy_stats.kendalltau(one, two).statistic)
    assert kendall([1, 1], [1, 2]) is None


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=2, max_size=5))
def test_a_perfect_guide_ranks_alike_and_costs_nothing(arms):
    found = ranking(by_image(*arms), by_image(*arms))
    assert found.cost == 0
    assert found.tau is None or found.tau == pytest.approx(1)


def test_rankings_without_ground():
    assert ranking(by_image([1, 2]), by_image([1, 2])) is None
    assert ranking(by_image([math.nan], [1]), by_image([1], [1])) is None
    one = ranking(by_image([1], [2]), by_image([1], [2]))
    assert one.tau == 1
    assert one.tau_interval is None
    assert one.cost_interval is None
    tied = ranking(by_image([1, 1], [1, 1]), by_image([1, 2], [2, 4]))
    assert tied.tau is None


# Curves


def test_peaks_worked_by_hand():
    curves = np.array([[1.0, 5.0, 4.0], [1.0, 6.0, 4.0], [1.0, 4.0, 5.0]])
    found = peak([10, 20, 30], curves)
    assert found.step == 20
    assert found.gain == pytest.approx((1 + 2 - 1) / 3)
    assert found.oracle_gain == pytest.approx((1 + 2 + 0) / 3)
    assert found.interval.low < found.gain < found.interval.high


def test_a_peak_of_the_others_is_no_gain_where_there_is_only_noise():
    curves = np.random.default_rng(0).normal(0, 1, (200, 12))
    found = peak(range(12), curves)
    assert found.oracle_gain > 1  # the best of twelve is always ahead
    assert found.interval.low < 0 < found.interval.high


def test_two_trials_change_places():
    steps = [100, 200, 300, 400]
    noise = np.array([[-1.0], [0.0], [1.0]]) * 0.1
    found = crossing(steps, noise + np.array([-3.0, -1.0, 1.0, 3.0]))
    assert found.step == pytest.approx(250)
    assert (found.low, found.high) == (200, 300)
    assert found.certain
    vague = crossing(steps, 30 * noise + np.array([-3.0, -1.0, 1.0, 3.0]))
    assert vague.step == pytest.approx(250)
    assert not vague.certain
    never = crossing(steps, noise + np.array([1.0, 2.0, 1.0, 3.0]))
    assert never.step is None
    assert not never.certain


@pytest.mark.parametrize(
    ("means", "step"),
    [
        ([-1, 0, 1, 2], 200),
        ([-1, 0, 0, 1], 300),
        ([0, -1, 0, 1], 300),
        ([-1, 1, 0, -1], 300),
        ([-1, 0, -1, -2], None),
        ([-1, -1, 0, 0], None),
        ([0, 0, 0, 0], None),
    ],
)
def test_a_change_of_places_through_an_exact_zero_is_seen(means, step):
    spread = np.array([[-1.0], [0.0], [1.0]]) * 0.1
    found = crossing([100, 200, 300, 400], spread + np.array(means, dtype=float))
    assert found.step == step
    assert step is None or found.low <= step <= found.high


def test_the_interval_of_a_crossing_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(11)
    steps = np.arange(0, 101)
    hits, rounds = 0, 400
    for _ in range(rounds):
        gaps = (steps - 50) / 10 + rng.normal(0, 1, (6, 1))
        found = crossing(steps, gaps)
        hits += found.low <= 50 <= found.high
    assert hits / rounds == pytest.approx(0.95, abs=0.03)


def test_curves_without_ground():
    assert peak([1, 2], np.array([[math.nan, 1.0]])) is None
    assert crossing([1, 2], np.empty((0, 2))) is None
    one = peak([1, 2], np.array([[2.0, 1.0]]))
    assert one.gain is None  # there is no other image to choose the step by
    assert (one.step, one.oracle_gain) == (1, 1)
    assert one.interval is None
    alone = crossing([1, 2], np.array([[-1.0, 1.0]]))
    assert (alone.step, alone.certain) == (1.5, False)


def test_a_band_is_the_t_interval_at_every_step():
    gaps = np.random.default_rng(0).normal(0, 1, (5, 3))
    mean, low, high = band(gaps)
    for step in range(3):
        expected = t_interval(gaps[:, step])
        assert mean[step] == pytest.approx(expected[0])
        assert (low[step], high[step]) == pytest.approx((expected[1].low, expected[1].high))
