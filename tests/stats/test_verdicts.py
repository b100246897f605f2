"""Verdicts by simulation: right as often as they claim, in every case; the old rule fails the same test."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from n2n_ablate.stats import BETTER, EQUIVALENT, WORSE

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    before = list(sys.path)
    yield runpy.run_path(str(BENCHMARKS / "verdicts.py"))
    sys.path[:] = before


@pytest.fixture(scope="module")
def few(bench):
    return bench["false_verdicts"](
        1_500, families=((1, 2), (3, 3), (7, 3)), sizes=(4, 8, 14), kinds=("normal",)
    )


def above(rows, limit, *names):
    return [row for row in rows for name in names if row.get(name, 0.0) > limit]


def test_no_cell_has_more_false_verdicts_than_promised(bench, few):
    limit = bench["limit"](1_500)
    assert not above(few, limit, "one study", "race", "best leaves")


def test_a_family_for_each_condition_fails_the_same_test(bench, few):
    limit = bench["limit"](1_500)
    failing = above(few, limit, "old rule")
    assert {row["conditions"] for row in failing} == {3, 7}
    assert max(row["old rule"] for row in few) > 0.2
    assert above(few, limit, "old best leaves")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_cell_of_any_family_has_more_false_verdicts_than_promised(bench):
    """1 to 7 conditions, 1 to 10 contrasts, 4 to 24 images, three kinds of data, with and without races."""
    rounds = 4_000
    rows = bench["false_verdicts"](rounds)
    assert len(rows) == 840
    limit = bench["limit"](rounds)
    assert not above(rows, limit, "one study", "race", "best leaves")
    old = bench["worst"](rows)
    assert all(row["old rule"] > limit for row in old if row["conditions"] > 1)
    assert all(row["old best leaves"] > limit for row in old if row["conditions"] > 1)


def test_skewed_differences_are_held_back_from_fourteen_images_on(bench):
    rows = {row["images"]: row for row in bench["skewed"](3_000)}
    assert rows[8]["false, as decided"] == rows[8]["false, t alone"] > 0.2
    assert rows[14]["false, as decided"] < 0.11
    assert rows[14]["false, t alone"] > 0.18
    assert rows[24]["false, as decided"] < 0.08
    assert rows[24]["false, t alone"] > 0.15
    assert rows[24]["power on normal data, as decided"] > 0.7


def test_false_verdicts_vanish_without_one_image_more_often_than_true_ones(bench):
    for row in bench["left_out"](4_000):
        if row["images"] < 14:
            assert row["false"] > 0.5
        assert row["true, power about 0.8"] < 0.5 < row["false"] + 0.1


def test_power_grows_with_images_and_shrinks_with_spread_and_family(bench):
    rows = {(row["family"], row["spread"], row["images"]): row for row in bench["powers"](1_000)}
    for name in ("+0.1 dB better", "zero equivalent"):
        assert rows[1, 0.06, 4][name] < rows[1, 0.06, 8][name] < rows[1, 0.06, 24][name]
        assert rows[9, 0.06, 8][name] < rows[2, 0.06, 8][name] < rows[1, 0.06, 8][name]
        assert rows[1, 0.15, 8][name] < rows[1, 0.06, 8][name] <= rows[1, 0.02, 8][name]
    assert rows[2, 0.06, 14]["zero equivalent"] > 0.5


def test_figures_to_plan_with_are_kept_in_nine_of_ten_studies(bench):
    for row in bench["planning"](4_000):
        assert row["printed figure has power 0.8"] == pytest.approx(0.9, abs=0.03)
        assert row["without the upper end"] < 0.55


def test_a_race_saves_images_and_little_power(bench):
    for row in bench["races"](1_000):
        assert row["decided"] > row["decided without a race"] - 0.1
        if row["effect in sd"] == 2.0:
            assert row["images of 24"] < 14


def test_going_on_until_there_is_a_verdict_inflates_false_ones(bench):
    for row in bench["more_images"](2_000):
        assert row["a race from the start"] < 0.065
        assert row["going on"] > row["the first alone"]
    assert max(row["going on"] for row in bench["more_images"](2_000)) > 0.08


def test_what_counts_as_false(bench):
    codes = np.array([[BETTER, WORSE, EQUIVALENT, EQUIVALENT, BETTER, BETTER, 0]])
    effects = np.array([[0.0, 0.1, 0.05, 0.049, 0.01, -0.2, 0.0]])
    known = bench["any_false"].__globals__["false"](codes, effects)
    assert known.tolist() == [[True, True, True, False, False, True, False]]
