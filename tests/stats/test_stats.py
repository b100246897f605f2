"""Intervals for other images, Holm's p, invariances of a decision."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from n2n_ablate.stats import (
    BETTER,
    INCONCLUSIVE,
    WORSE,
    Levels,
    decide,
    holm,
    limits,
    t_critical,
    t_interval,
    welch_interval,
)

numbers = st.floats(-50, 50).map(lambda value: round(value, 6))
gaps = st.lists(numbers, min_size=2, max_size=20)


def verdict(values, margin=0.05, size=1):
    return int(decide(np.array(values), Levels(size).critical(len(values)), margin))


@given(gaps, gaps)
def test_the_interval_for_other_images_is_that_of_scipy(first, second):
    mean, ends = welch_interval(first, second)
    assert mean == pytest.approx(np.mean(first) - np.mean(second))
    if max(np.std(first), np.std(second)) < 1e-6:
        assert ends is None
    assume(min(np.std(first), np.std(second)) > 1e-6)  # scipy warns that it may be imprecise
    expected = scipy_stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert (ends.low, ends.high) == pytest.approx(tuple(expected))


def test_one_image_gives_no_interval_beside_others():
    assert welch_interval([1.0], [0.0, 0.5]) == (0.75, None)


@given(gaps, st.floats(0, 2))
def test_changing_sides_changes_the_sign_and_the_verdict(values, margin):
    one, two = verdict(values, margin), verdict([-value for value in values], margin)
    assert two == {BETTER: WORSE, WORSE: BETTER}.get(one, one)
    low, high = limits(np.array(values), 2.0)
    turned = limits(-np.array(values), 2.0)
    assert turned == (-high, -low)


@given(gaps, st.randoms())
def test_the_order_of_images_is_irrelevant(values, random):
    mixed = list(values)
    random.shuffle(mixed)
    for one, two in zip(limits(np.array(values), 2.0), limits(np.array(mixed), 2.0), strict=True):
        if math.isfinite(one) and np.std(values) > 1e-6:
            assert two == pytest.approx(one, abs=1e-6)


@given(gaps, numbers)
def test_a_shift_of_all_differences_shifts_both_limits(values, shift):
    assume(np.std(values) > 1e-3)
    plain, moved = limits(np.array(values), 2.0), limits(np.array(values) + shift, 2.0)
    assert np.subtract(moved, plain) == pytest.approx(shift, abs=1e-5)


@given(gaps)
def test_a_larger_family_never_decides_more(values):
    assume(np.std(values) > 1e-6)
    small, large = verdict(values, 0.0, 1), verdict(values, 0.0, 5)
    assert large in (small, INCONCLUSIVE)


def test_an_interval_of_plain_values():
    mean, ends = t_interval([1.0, 2.0, 3.0])
    assert (mean, ends.high - mean) == (2.0, pytest.approx(4.302653 / math.sqrt(3)))
    assert ends.low == pytest.approx(4 - ends.high)


def test_holm_worked_by_hand():
    # sorted .005 .01 .03 .04: 4 x .005 = .02, 3 x .01 = .03, 2 x .03 = .06, then .04 rises to .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01], size=4) == pytest.approx([0.04])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(ps):
    adjusted = holm(ps)
    for p, own in zip(ps, adjusted, strict=True):
        assert p <= own <= min(1, len(ps) * p) + 1e-12
    assert [adjusted[i] for i in np.argsort(ps, kind="stable")] == sorted(adjusted)


def test_critical_values_of_the_t_interval():
    assert t_critical(0.95, 4) == pytest.approx(3.182446)
    assert math.isinf(t_critical(0.95, 1))
