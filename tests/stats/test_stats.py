"""Differences, families and their words, against scipy and cases worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from n2n_ablate.stats import (
    UNDECIDED,
    Difference,
    family,
    family_level,
    holm,
    paired,
    t_critical,
    t_interval,
    welch_interval,
)

numbers = st.floats(-50, 50).map(lambda value: round(value, 6))
gaps = st.lists(numbers, min_size=2, max_size=12)


def named(values):
    return {str(place): value for place, value in enumerate(values)}


def zeros(values):
    return named([0.0] * len(values))


def with_interval(mean, half):
    """A difference over four images with this mean and half-width."""
    pattern = np.array([-1.0, -1.0, 1.0, 1.0])
    return Difference(tuple(mean + pattern), 0.95, half / np.std(pattern, ddof=1) * 2)


# One difference


def test_a_case_worked_by_hand():
    # differences 1, 2, 3: mean 2, sd 1, standard error 1/sqrt 3, t(0.975, 2) = 4.3027
    found = paired(named([1.0, 2.0, 3.0]), named([0.0, 0.0, 0.0]))
    assert found.mean == 2
    assert found.sd == 1
    assert found.effect == 2
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert (found.wins, found.losses, found.ties) == (3, 0, 0)


@given(gaps, gaps)
def test_the_interval_for_other_images_is_that_of_scipy(first, second):
    mean, low, high = welch_interval(first, second)
    assert mean == pytest.approx(np.mean(first) - np.mean(second))
    if max(np.std(first), np.std(second)) < 1e-6:
        assert (low, high) == (-math.inf, math.inf)
    assume(min(np.std(first), np.std(second)) > 1e-6)  # scipy warns that it may be imprecise
    expected = scipy_stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert (low, high) == pytest.approx(tuple(expected))


def test_one_image_gives_no_interval_beside_others():
    assert welch_interval([1.0], [0.0, 0.5]) == (0.75, -math.inf, math.inf)


@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=12))
def test_interval_and_p_are_those_of_scipy(pairs):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    if (first - second).std() < 1e-6:
        return
    found = paired(named(first), named(second))
    expected = scipy_stats.ttest_rel(first, second)
    low, high = expected.confidence_interval(0.95)
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)


@given(gaps, numbers)
def test_adding_the_same_to_both_changes_nothing(values, shift):
    plain = paired(named(values), zeros(values))
    shifted = paired(named([value + shift for value in values]), named([shift] * len(values)))
    assert shifted.mean == pytest.approx(plain.mean, abs=1e-9)
    if plain.sd > 1e-6:
        assert shifted.half_width == pytest.approx(plain.half_width, rel=1e-6)


@given(gaps, st.floats(0, 2))
def test_changing_places_changes_the_sign_and_the_word(values, margin):
    one, two = paired(named(values), zeros(values)), paired(zeros(values), named(values))
    assert two.mean == -one.mean
    assert (two.wins, two.losses, two.ties) == (one.losses, one.wins, one.ties)
    other = {"better": "worse", "worse": "better"}
    word = one.verdict(margin)
    assert two.verdict(margin) == other.get(word, word)


@given(gaps, st.randoms())
def test_the_order_of_images_is_irrelevant(values, random):
    pairs = list(named(values).items())
    random.shuffle(pairs)
    one, two = paired(named(values), zeros(values)), paired(dict(pairs), zeros(values))
    assert two.mean == pytest.approx(one.mean, abs=1e-9)
    if one.sd > 1e-6:
        assert two.half_width == pytest.approx(one.half_width)


def test_only_images_in_both_are_compared():
    found = paired({"a": 1.0, "b": 2.0, "c": 9.0}, {"a": 0.0, "b": 0.0})
    assert found.n == 2
    assert found.mean == 1.5
    assert paired({"a": 1.0}, {"b": 1.0}) is None
    assert paired({}, {}) is None


@pytest.mark.parametrize(
    ("mean", "half", "word"),
    [
        (0.0, 0.04, "equivalent"),
        (0.03, 0.01, "equivalent"),  # real, but too small to matter
        (0.2, 0.1, "better"),
        (-0.2, 0.1, "worse"),
        (0.1, 0.2, UNDECIDED),
        (0.0, 0.06, UNDECIDED),
    ],
)
def test_verdicts(mean, half, word):
    found = with_interval(mean, half)
    assert found.half_width == pytest.approx(half)
    assert found.verdict(0.05) == word


# Numbers that cannot be defended

NAN = math.nan


def test_one_image_gives_no_interval_and_no_verdict():
    found = paired({"a": 3.0}, {"a": 1.0})
    assert math.isinf(found.half_width)
    assert math.isnan(found.sd)
    assert found.p == 1
    assert found.verdict(0.05) == UNDECIDED
    assert found.caveat == "one image gives no interval"


@pytest.mark.parametrize(
    ("gap", "told"), [(0.0, "no difference on any"), (0.1, "the same difference")]
)
def test_equal_differences_give_no_interval(gap, told):
    found = paired(named([gap] * 5), named([0.0] * 5))
    assert math.isinf(found.half_width)
    assert found.verdict(0.05) == UNDECIDED
    assert told in found.caveat


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([1, NAN, NAN], [1, 2, 3], "one image that both have gives no interval; 2 images lost"),
        ([1, 2, NAN], [1, 2, 3], "no difference on the 2 images that both have; 1 image lost"),
        (
            [2, 3, NAN],
            [1, 2, 3],
            "the same difference on the 2 images that both have, so no interval; 1 image lost",
        ),
        ([1, 2, 4, NAN], [1, 1, NAN, 4], "images lost on both sides: no word on either"),
        ([1, 2, 4, 4], [1, 1, 9, NAN], "1 image lost by the baseline: no word in its favour"),
        ([1, 2, 4], [1, 1, 9], ""),
    ],
)
def test_lost_images_are_told_whatever_else_is(first, second, told):
    assert paired(named(first), named(second)).caveat == told


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_lost_and_never_averaged(value):
    found = paired(named([1.0, 2.0, 3.0, value]), named([0.0] * 4))
    assert (found.n, found.mean, found.lost) == (3, 2.0, 1)
    assert "1 image lost" in found.caveat


def test_a_trial_that_lost_images_can_only_be_worse():
    survived = [0.5, 0.6, 0.55, 0.52]
    lucky = paired(named(survived), named([0.0] * 6))
    assert lucky.low > 0
    assert lucky.verdict(0.05) == UNDECIDED
    assert "2 images lost" in lucky.caveat
    assert paired(named([-gap for gap in survived]), named([0.0] * 6)).verdict(0.05) == "worse"
    assert paired(named([0.0] * 6), named(survived)).verdict(0.05) == UNDECIDED
    assert paired(named([1.0] * 6), named(survived)).verdict(0.05) == "better"
    nothing = [0.001, -0.001, 0.002, 0.0]
    assert paired(named(nothing), named([0.0] * 4)).verdict(0.05) == "equivalent"
    assert paired(named(nothing), named([0.0] * 5)).verdict(0.05) == UNDECIDED


def test_an_interval_of_plain_values():
    mean, low, high = t_interval([1.0, 2.0, 3.0])
    assert (mean, high - mean) == (2.0, pytest.approx(4.302653 / math.sqrt(3)))
    assert low == pytest.approx(4 - high)


# Families


def test_every_interval_of_a_family_has_the_bonferroni_level():
    arms = [named([0.1, 0.3, 0.2, 0.4]), named([0.0, 0.1, -0.1, 0.0])]
    for item in family(arms, named([0.0] * 4)):
        assert item.level == pytest.approx(0.975)
        assert item.critical == pytest.approx(scipy_stats.t.ppf(0.9875, 3))


def test_a_contrast_that_has_not_run_yet_still_counts():
    arm = named([0.1, 0.3, 0.2, 0.4])
    early = family([arm], zeros(arm), size=3)[0]
    assert early.level == pytest.approx(1 - 0.05 / 3)
    assert early.half_width > family([arm], zeros(arm))[0].half_width


@given(st.lists(gaps.filter(lambda values: len(values) >= 3), min_size=2, max_size=5))
def test_a_word_does_not_change_when_another_contrast_comes_in(arms):
    n = min(map(len, arms))
    firsts = [named(arm[:n]) for arm in arms]
    alone = family(firsts[:1], named([0.0] * n), size=len(firsts))[0]
    together = family(firsts, named([0.0] * n))[0]
    assert together == alone


def test_a_lost_arm_leaves_the_others_their_intervals():
    found = family([{}, named([0.1, 0.2, 0.4])], named([0.0] * 3))
    assert found[0] is None
    assert found[1].level == pytest.approx(0.975)


def test_no_contrast_is_no_family():
    assert family([], {}) == []
    assert family_level(0) == 0.95


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
