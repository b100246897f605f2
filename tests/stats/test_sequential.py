"""Interim analyses: the error that is spent at each of them."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from n2n_ablate.stats import InterimDesign
from n2n_ablate.stats.interim import critical_values


def squared(share, alpha):
    """Spend as the program does (Kim and DeMets, 1987)."""
    return alpha * share**2


def pocock(share, alpha):
    """Spend early (Lan and DeMets, 1983): what textbooks have values for."""
    return alpha * math.log1p((math.e - 1) * share)


def criticals(sizes, most, alpha, spending):
    return critical_values(sizes, tuple(spending(size / most, alpha) for size in sizes))


def t_statistics(values, sizes):
    sizes = np.array(sizes)
    sums, squares = (np.cumsum(part, axis=1)[:, sizes - 1] for part in (values, values**2))
    return sums / np.sqrt(sizes) / np.sqrt((squares - sums**2 / sizes) / (sizes - 1))


@pytest.mark.parametrize("spending", [squared, pocock])
def test_one_look_is_the_t_interval(spending):
    expected = scipy_stats.t.ppf(0.975, 5)
    assert criticals((6,), 6, 0.05, spending) == pytest.approx((expected,))


@pytest.mark.parametrize("spending", [squared, pocock])
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
    last = [difference for difference, _ in InterimDesign((4, 8, 16, 24)).critical]
    plain = scipy_stats.t.ppf(0.975, 23)
    assert plain < last[-1] < 1.15 * plain
    assert last == sorted(last, reverse=True)
    assert InterimDesign((4, 8, 16, 24), size=5).critical[-1][0] > last[-1]
