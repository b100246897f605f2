"""Intervals, adjusted p and effects of factorials against statsmodels, which shares no code with ours."""

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import AnovaRM
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from n2n_ablate.analysis.paired import effect_sides
from n2n_ablate.stats import (
    INCONCLUSIVE,
    Levels,
    decide,
    holm,
    limits,
    t_critical,
    t_interval,
    t_test,
)

SEEDS = range(5)


def drawn(seed, arms=6, images=7):
    """PSNR of a baseline and some trials, (arms + 1, images): images differ, effects are small."""
    rng = np.random.default_rng(seed)
    base = rng.normal(28, 2, images)
    effects = np.concatenate([[0.0], rng.normal(0, 0.15, arms)])
    return base + effects[:, None] + rng.normal(0, 0.1, (arms + 1, images))


def named(values):
    return {f"image {place}": np.array([value]) for place, value in enumerate(values)}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("level", [0.95, 0.975, 0.999])
def test_the_paired_interval_and_its_p(seed, level):
    first, second = drawn(seed, arms=1)
    expected = DescrStatsW(first - second)
    ends = [float(end) for end in limits(first - second, t_critical(level, len(first)))]
    assert ends == pytest.approx(expected.tconfint_mean(alpha=1 - level))
    assert t_test(first - second) == pytest.approx(expected.ttest_mean()[1])
    _, own = t_interval(first, level)
    expected = DescrStatsW(first).tconfint_mean(alpha=1 - level)
    assert (own.low, own.high) == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_family_is_bonferronis_and_holms_p_stands_beside_it(seed):
    base, *arms = drawn(seed)
    values = np.array(arms) - base
    levels = Levels(len(arms))
    for low, high, own in zip(*limits(values, levels.critical(7)[0]), values, strict=True):
        expected = DescrStatsW(own).tconfint_mean(alpha=0.05 / len(arms))
        assert (float(low), float(high)) == pytest.approx(expected)
    ps = [t_test(own) for own in values]
    rejected, adjusted, *_ = multipletests(ps, alpha=0.05, method="bonferroni")
    assert adjusted == pytest.approx([min(1.0, p * len(ps)) for p in ps])
    verdicts = decide(values, levels.critical(7), 0.0)
    assert (verdicts != INCONCLUSIVE).tolist() == rejected.tolist()
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])


def test_contrasts_that_are_not_there_yet_count_in_holms_p():
    ps = [0.001, 0.02, 0.03]
    whole = multipletests([*ps, 1.0, 1.0], method="holm")[1][:3]
    assert holm(ps, size=5) == pytest.approx(whole)


CELLS = list(itertools.product((0, 1), repeat=3))


def factorial(seed, images=6):
    """PSNR per cell and image of three factors, whose effects differ by image and interact."""
    rng = np.random.default_rng(seed)
    base, slopes = rng.normal(28, 2, images), rng.normal(0.3, 0.2, (3, images))
    twist = rng.normal(0.1, 0.1, images)
    return {
        cell: base + cell @ slopes + cell[0] * cell[1] * twist + rng.normal(0, 0.05, images)
        for cell in CELLS
    }


def halves(cells, axes):
    """Return the cells that carry a sign of + and of -, as a study's plan sorts them."""
    sides = {0: [], 1: []}
    for cell, values in cells.items():
        zeros = sum(cell[axis] == 0 for axis in axes)
        sides[zeros % 2].append(named(values))
    return sides[0], sides[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_effects_of_a_factorial_are_those_of_a_linear_model_and_of_repeated_measures(seed):
    cells = factorial(seed)
    rows = [
        {"image": image, "y": value, **dict(zip("abc", cell, strict=True))}
        for cell, values in cells.items()
        for image, (value,) in named(values).items()
    ]
    table = pd.DataFrame(rows)
    coded = table.assign(**{name: table[name] - 0.5 for name in "abc"})
    model = ols("y ~ C(image) + a * b * c", coded).fit()
    anova = AnovaRM(table, "y", "image", within=["a", "b", "c"]).fit().anova_table
    for order in (1, 2):
        for axes in itertools.combinations(range(3), order):
            names = ["abc"[axis] for axis in axes]
            plus, minus = effect_sides(*halves(cells, axes), order=order)
            found = np.array([plus[image].mean() - minus[image].mean() for image in plus])
            assert found.mean() == pytest.approx(model.params[":".join(names)])
            row = anova.loc[":".join(names)]
            assert (row["Num DF"], row["Den DF"]) == (1, len(found) - 1)
            assert t_test(found) == pytest.approx(row["Pr > F"])
            assert (found.mean() / found.std(ddof=1)) ** 2 * len(found) == pytest.approx(
                row["F Value"]
            )
