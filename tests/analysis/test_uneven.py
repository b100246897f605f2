"""What is said of a race: interim analyses, and how many images a difference is over."""

import io
from dataclasses import replace

import pytest
from helpers import small_results as small
from helpers.small_results import BASE, HIGH, LOW, NAN, analysis, made, raced
from rich.console import Console

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.pairs import compare_trials
from n2n_ablate.analysis.records import Caveat, Role, Verdict
from n2n_ablate.report import supporting, tables
from n2n_ablate.report.live import Plain
from n2n_ablate.report.text.methods import statistics

TWO = "sampler.center=0.2"


@pytest.fixture
def planned(folder, registry):
    return small.planned(folder, registry)


def column(table, title):
    at = [each.title for each in table.columns].index(title)
    return [row.cells[at] for row in table.rows]


def titles(table):
    return [each.title for each in table.columns]


def notes(found, condition):
    return " ".join(tables.trials_table(found, found.condition(condition)).notes)


def test_the_interval_of_a_race_is_repeated_and_its_p_has_a_caveat(planned):
    result, known = raced(planned, settled=[LOW])
    found = analyse(result, known)
    for pair in ((TWO, "baseline"), ("baseline", TWO)):
        record = compare_trials(result, found, *pair, LOW).contrast
        assert record.interim.sizes == (4, 6, 8, 12)
        assert record.interval.method == "repeated_t"
        assert Caveat.RACED in record.caveats
    undeclared = compare_trials(result, found, "sampler.center=0.1", TWO, LOW).contrast
    assert (undeclared.interim, undeclared.role) == (None, Role.EXPLORATORY)
    assert undeclared.interval.level == 0.95
    assert (
        "p values do not allow for interim analyses."
        in supporting.supporting_table(found.condition(LOW).contrasts).notes
    )
    assert "after 4, 6, 8 and 12 images with repeated 98.75 % confidence" in statistics(found)


def test_without_a_race_p_has_no_caveat(planned):
    found = analysis(made(planned, BASE, [value + 1 for value in BASE], [20.1, 25.0, 30.2, 21.9]))
    assert "p values" not in " ".join(
        supporting.supporting_table(found.condition(LOW).contrasts).notes
    )
    assert "two-sided 98.75 % t intervals across images" in statistics(found)


def test_a_row_says_how_many_images_its_difference_is_over_where_that_is_not_what_others_have(
    planned,
):
    result, known = raced(planned, settled=[LOW])
    found = analyse(result, known)
    rows = {row.name: row for row in found.condition(LOW).trials}
    assert {row.n_images_given for row in rows.values()} == {12}  # 0.2 is open under the other
    record = rows[TWO].contrast
    assert (record.n_images, record.verdict) == (4, Verdict.BETTER)
    assert Caveat.STOPPED_EARLY in record.caveats
    assert column(tables.trials_table(found, found.condition(LOW)), "images") == [4, 12, 12]
    assert "Rows are over different numbers of images" in notes(found, LOW)
    assert "the estimate tends to be too extreme" in notes(found, LOW)
    assert "images" not in titles(tables.trials_table(found, found.condition(HIGH)))
    assert "Rows are over" not in notes(found, HIGH)


def test_images_are_counted_where_fits_failed(planned):
    found = analysis(made(planned, BASE, [20.5, NAN, 30.6, 22.4], [19.0, 24.1, 29.2, 21.0]))
    assert column(tables.trials_table(found, found.condition(LOW)), "images") == [4, 4, 3]
    assert "too extreme" not in notes(found, LOW)


def test_images_are_counted_where_a_mean_has_those_that_the_baseline_lost(planned):
    found = analysis(made(planned, [20.0, NAN, 30.0, 22.0], [19.0, NAN, 29.2, 21.1], BASE))
    # The mean of one is over 4, its difference over 3.
    assert column(tables.trials_table(found, found.condition(LOW)), "images") == [3, 3, 3]
    assert "compare their differences, not their means" in notes(found, LOW)


def test_images_that_a_race_left_out_are_not_lost(planned):
    result, known = raced(planned, settled=[LOW, HIGH])
    two = result.trials[2]
    first = [mark.name for mark in known.images[:4]]
    early = replace(two, rows=tuple(row for row in two.rows if row.image in first))
    few = replace(result, trials=(*result.trials[:2], early))
    record = compare_trials(few, analyse(few, known), "sampler.center=0.1", TWO, LOW).contrast
    assert (record.n_images, record.lost_by_trial, record.lost_by_baseline) == (4, 0, 0)
    reference = replace(early, trial=replace(early.trial, role="reference"))
    found = analyse(replace(few, trials=(*few.trials[:2], reference)), known)
    (row,) = (row for row in found.condition(LOW).trials if row.role == "reference")
    assert (row.contrast.n_images, row.contrast.lost_by_trial) == (4, 0)
    assert Caveat.IMAGES_LOST not in row.contrast.caveats


def test_the_progress_of_a_race_names_the_condition_and_says_a_verdict_once(planned):
    result, _ = raced(planned, settled=[LOW])
    view = Plain(Console(file=io.StringIO(), width=200))
    view.interim_analysis_finished(result, 4)
    early = view.console.file.getvalue()
    view.interim_analysis_finished(result, 12)
    late = view.console.file.getvalue().removeprefix(early)
    assert early.startswith("Interim analysis after 4 images:\n")
    decided = next(line for line in early.splitlines() if "0.2 vs 0.01: better by" in line)
    assert decided.endswith("under low")
    for label in (LOW, HIGH):
        assert "center = 0.1 vs 0.01: inconclusive" in late
        assert f"under {label}" in late
    assert "0.2 vs 0.01: better" not in late
