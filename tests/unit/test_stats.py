"""Intervals and verdicts, against scipy and cases worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from n2n_ablate.stats import Difference, family, paired

values = st.lists(st.floats(-50, 50), min_size=2, max_size=12)


def named(numbers):
    return {str(place): value for place, value in enumerate(numbers)}


def test_a_case_worked_by_hand():
    # differences 1, 2, 3: mean 2, sd 1, standard error 1/sqrt 3, t(0.975, 2) = 4.3027
    found = paired(named([1.0, 2.0, 3.0]), named([0.0, 0.0, 0.0]))
    assert found.mean == 2
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert found.wins == 3


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=3, max_size=12))
def test_the_interval_is_that_of_scipy(pairs):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    gaps = first - second
    if gaps.std() < 1e-6:
        return
    found = paired(named(first), named(second))
    expected = scipy_stats.ttest_1samp(gaps, 0)
    low, high = expected.confidence_interval(0.95)
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)


def test_only_images_in_both_are_compared():
    found = paired({"a": 1.0, "b": 2.0, "c": 9.0}, {"a": 0.0, "b": 0.0})
    assert found.n == 2
    assert found.mean == 1.5
    assert paired({"a": 1.0}, {"b": 1.0}) is None


def test_one_image_gives_no_interval_and_no_verdict():
    found = paired({"a": 3.0}, {"a": 1.0})
    assert math.isinf(found.half_width)
    assert found.verdict(0.05) == "not distinguishable"


@pytest.mark.parametrize(
    ("mean", "half", "word"),
    [
        (0.0, 0.04, "equivalent"),
        (0.03, 0.01, "equivalent"),  # real, but too small to matter
        (0.2, 0.1, "better"),
        (-0.2, 0.1, "worse"),
        (0.1, 0.2, "not distinguishable"),
        (0.0, 0.06, "not distinguishable"),
    ],
)
def test_verdicts(mean, half, word):
    assert Difference(mean, half, 6, 0.5, 3, 0.95).verdict(0.05) == word


@given(st.lists(values.filter(lambda v: len(v) >= 3), min_size=1, max_size=5))
def test_a_family_excludes_zero_exactly_where_holms_test_rejects(arms):
    size = min(len(arm) for arm in arms)
    firsts = [named(arm[:size]) for arm in arms]
    zeros = named([0.0] * size)
    found = family(firsts, zeros)
    ps = np.array([item.p for item in found])
    order = np.argsort(ps, kind="stable")
    rejected = np.zeros(len(ps), bool)
    for rank, place in enumerate(order):
        if ps[place] > 0.05 / (len(ps) - rank):
            break
        rejected[place] = True
    for item, reject in zip(found, rejected, strict=True):
        if abs(item.p - 0.05) > 1e-6 and item.half_width > 1e-9:
            assert (item.low > 0 or item.high < 0) == reject


def test_more_contrasts_make_wider_intervals():
    arm, other = named([0.1, 0.3, 0.2, 0.4]), named([0.0, 0.1, -0.1, 0.0])
    zeros = named([0.0] * 4)
    assert family([arm, other], zeros)[0].half_width > family([arm], zeros)[0].half_width


def test_a_contrast_that_has_not_run_yet_still_counts_for_the_correction():
    arm, zeros = named([0.1, 0.3, 0.2, 0.4]), named([0.0] * 4)
    early = family([arm], zeros, size=3)[0]
    assert early.level == pytest.approx(1 - 0.05 / 3)
    assert early.half_width > family([arm], zeros)[0].half_width
