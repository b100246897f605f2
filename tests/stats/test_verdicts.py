"""Verdicts by simulation: right as often as they promise, and a wrong interval is caught."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from n2n_ablate.stats import Difference, Looks, family_level, t_critical

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CODES = {1: "better", -1: "worse", 2: "equivalent", 0: "not distinguishable"}


@pytest.fixture(scope="module")
def bench():
    before = list(sys.path)
    yield runpy.run_path(str(BENCHMARKS / "verdicts.py"))
    sys.path[:] = before


def test_drawn_studies_get_the_words_of_the_package(bench):
    rng = np.random.default_rng(0)
    for n, spread in ((4, 0.02), (6, 0.1)):
        values = bench["gaps"](rng, 100, n, arms=3, effects=[0.0, 0.05, -0.3], spread=spread)
        critical = t_critical(family_level(3), n)
        given = bench["words"](*bench["intervals"](values, critical))
        for study, row in zip(values, given, strict=True):
            for gaps, code in zip(study, row, strict=True):
                found = Difference(tuple(gaps), family_level(3), critical)
                assert found.verdict(0.05) == CODES[code]


def test_drawn_races_go_as_those_of_the_package(bench):
    looks = Looks((4, 8, 12), contrasts=2)
    values = bench["gaps"](np.random.default_rng(1), 60, 12, arms=1, effects=0.1, spread=0.08)[:, 0]
    word, used = bench["race"](values, looks)
    for gaps, code, images in zip(values, word, used, strict=True):
        for number, size in enumerate(looks.sizes, 1):
            seen = {str(i): gap for i, gap in enumerate(gaps[:size])}
            found = looks.look(number, seen, dict.fromkeys(seen, 0.0), margin=0.05)
            if found.settled:
                break
        assert (found.verdict, found.difference.n) == (CODES[code], images)


def check(bench, rounds, slack):
    """What must hold; `slack` allows for the draw."""
    for row in bench["coverage"](rounds).values():
        assert row["normal"] == pytest.approx(0.95, abs=0.02)
        assert row["seeds averaged"] == pytest.approx(0.95, abs=0.02)
        with pytest.raises(AssertionError):  # seeds are no images: the same test fails
            assert row["seeds as images"] == pytest.approx(0.95, abs=0.02)
        assert row["seeds as images"] < 0.8
    for name, row in bench["false_words"](rounds).items():
        if name.endswith("normal"):
            assert max(row.values()) <= 0.05 + slack
    races = bench["false_races"](rounds)["normal"]
    assert races["better or worse"] <= 0.05 + slack
    assert races["equivalent"] <= 0.05 + slack
    assert races["better or worse, intervals for one look"] > 0.1  # why looks need their own


def test_words_are_false_as_rarely_as_promised(bench):
    check(bench, 2_500, slack=0.012)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_words_are_false_as_rarely_as_promised_to_a_third_digit(bench):
    check(bench, 40_000, slack=0.003)
    for row in bench["coverage"](40_000).values():
        assert row["normal"] == pytest.approx(0.95, abs=0.004)
    powers = {
        (row["contrasts"], row["spread"], row["images"]): row for row in bench["powers"](20_000)
    }
    assert powers[1, 0.06, 6]["called better"] > 0.85
    assert powers[1, 0.15, 24]["called better"] > 0.8


def test_power_grows_with_images_and_shrinks_with_spread_and_contrasts(bench):
    rows = {
        (row["contrasts"], row["spread"], row["images"]): row["called better"]
        for row in bench["powers"](1_000)
    }
    assert rows[1, 0.06, 4] < rows[1, 0.06, 6] < rows[1, 0.06, 24]
    assert rows[10, 0.06, 6] < rows[2, 0.06, 6] < rows[1, 0.06, 6]
    assert rows[1, 0.15, 6] < rows[1, 0.06, 6] < rows[1, 0.02, 6]


def test_the_way_of_spending_is_chosen_on_these_figures(bench):
    rows = {(row["contrasts"], row["spending"]): row for row in bench["spendings"](2_000)}
    for contrasts in (2, 10):
        ours = rows[contrasts, "share squared (ours)"]
        late = rows[contrasts, "O'Brien-Fleming"]
        early = rows[contrasts, "Pocock"]
        ever = rows[contrasts, "always valid"]
        assert ours["images at 1.5 sd"] < late["images at 1.5 sd"]  # sooner on large effects
        assert ours["settled at 0.7 sd"] > early["settled at 0.7 sd"]  # and still sees small ones
        assert ours["settled at 0.7 sd"] > ever["settled at 0.7 sd"] + 0.15
        assert ours["images at 1.0 sd"] < ever["images at 1.0 sd"]
