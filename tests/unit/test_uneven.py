"""What is said of a race: looks, and how many images a difference is over."""

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
import small
from rich.console import Console
from small import BASE, HIGH, LOW, NAN, header, made, raced, sentence

from n2n_ablate.analysis import answer
from n2n_ablate.analysis.compare import compare, sentences
from n2n_ablate.analysis.export import to_json
from n2n_ablate.report import legends, words
from n2n_ablate.report.screen import tables
from n2n_ablate.report.screen.console import Plain


@pytest.fixture
def planned(folder, registry):
    return small.planned(folder, registry)


def test_the_interval_of_a_race_is_called_repeated_and_its_p_that_of_one_look(planned):
    result, known = raced(planned, settled=[LOW])
    base, _, two = result.trials
    for first, second in ((two, base), (base, two)):
        found = compare(result, first, second, LOW)
        assert found.looks == (4, 6, 8, 12)
        told = " ".join(sentences(found, 0.05))
        assert "97.5 % repeated interval (looks after 4, 6, 8, 12 images)" in told
        assert "p is that of a single look, so too small in a race" in told
        assert "t interval" not in told
    undeclared = compare(result, result.trials[1], two, LOW)
    assert undeclared.looks == ()
    assert "95 % t interval" in sentences(undeclared, 0.05)[0]
    rows = to_json(result, known)["conditions"][0]["trials"]
    (row,) = (row for row in rows if row["name"] == "sampler.center=0.2")
    assert "single look" in row["p_caveat"]


def test_without_a_race_p_has_no_caveat(planned):
    result = made(planned, BASE, [value + 1 for value in BASE], [20.1, 25.0, 30.2, 21.9])
    rows = to_json(result, header(planned))["conditions"][0]["trials"]
    assert {row["p_caveat"] for row in rows if "p" in row} == {None}
    assert "t interval" in sentences(compare(result, *result.trials[2:0:-1], LOW), 0.05)[0]


def test_a_row_says_how_many_images_its_difference_is_over_where_that_is_not_what_others_have(
    planned,
):
    result, _ = raced(planned, settled=[LOW])
    rows = {line.name: line for line in result.lines(LOW)}
    assert {line.images for line in rows.values()} == {12}  # 0.2 is open under the other condition
    assert {name: line.compared for name, line in rows.items()} == {
        "baseline": 12,
        "sampler.center=0.1": 12,
        "sampler.center=0.2": 4,
    }
    table = tables.study_table(result, LOW, 79)
    assert "images" in [column.header for column in table.columns]
    (images,) = (list(c.cells) for c in table.columns if c.header == "images")
    assert images == ["4", "12", "12"]
    legend = " ".join(tables.legend(result, LOW))
    assert "images: those of the difference; means of PSNR are over every image" in legend
    assert "differences are ranked" not in legend  # all have the same images, so means are
    assert "settled early: the interval holds, the mean tends to lie too far out" in legend
    assert not any(line.startswith("images:") for line in tables.legend(result, HIGH))
    assert "images" not in [c.header for c in tables.study_table(result, HIGH, 79).columns]
    told = answer.best_sentence(result, LOW)
    assert told.startswith("Highest mean PSNR over 12 images: sampler.center=0.2 with 31.")
    assert told.endswith(" dB against the baseline over 4.")
    headline = sentences(compare(result, result.trials[2], result.trials[0], LOW), 0.05)[0]
    assert " dB over the first 4 of 12 images; 97.5 % repeated interval" in headline
    assert "settled after 4 images" in sentence(result, LOW, images=12, looks=(4, 6, 8, 12))


def test_images_are_counted_where_fits_failed(planned):
    result = made(planned, BASE, [20.5, NAN, 30.6, 22.4], [19.0, 24.1, 29.2, 21.0])
    table = tables.study_table(result, LOW, 79)
    (images,) = (list(c.cells) for c in table.columns if c.header == "images")
    assert images == ["4", "4", "3"]
    assert "settled early" not in " ".join(tables.legend(result, LOW))


def test_images_are_counted_where_a_mean_has_those_that_the_baseline_lost(planned):
    result = made(planned, [20.0, NAN, 30.0, 22.0], [19.0, NAN, 29.2, 21.1], BASE)
    table = tables.study_table(result, LOW, 79)
    (images,) = (list(c.cells) for c in table.columns if c.header == "images")
    assert images == ["3", "3", "3"]  # the mean of one is over 4
    told = " ".join(tables.legend(result, LOW))
    assert "means of PSNR are over every image that a trial has" in told


def test_a_report_counts_images_as_the_screen_does(planned):
    result, _ = raced(planned, settled=[LOW])
    lines = result.lines(LOW)
    section = SimpleNamespace(lines=lines, names={line.name: line.name for line in lines})
    place = words.results_head(section, result).index("images")
    rows = {line.name: words.results_row(line, section, result) for line in lines}
    assert rows["sampler.center=0.2"][place] == "4"
    assert rows["baseline"][place] == "12"
    assert "settled early" in " ".join(legends.of_trials(result, lines, LOW))
    assert "settled early" not in " ".join(legends.of_trials(result, result.lines(HIGH), HIGH))


def test_images_that_a_race_left_out_are_not_lost(planned):
    result, known = raced(planned, settled=[LOW, HIGH])
    _, one, two = result.trials
    first = [mark.name for mark in known.images[:4]]
    early = replace(two, rows=tuple(row for row in two.rows if row.image in first))
    few = replace(result, trials=(*result.trials[:2], early))
    pair = compare(few, one, early, LOW)
    assert (pair.difference.n, pair.difference.caveat) == (4, "")
    reference = replace(early, trial=replace(early.trial, role="reference"))
    rows = to_json(replace(few, trials=(*few.trials[:2], reference)), known)
    (row,) = (x for x in rows["conditions"][0]["trials"] if x["role"] == "reference")
    assert (row["images"], row["lost_images"], row["caveat"]) == (4, 0, None)


def test_the_progress_of_a_race_names_the_condition(planned):
    result, _ = raced(planned, settled=[LOW])
    view = Plain(Console(file=io.StringIO(), width=200))
    view.interim_analysis_finished(result, 4)
    view.interim_analysis_finished(result, 12)
    first, last = view.console.file.getvalue().splitlines()
    assert first.startswith("after 4 images: ")
    assert "sampler.center=0.2 is better under low (+" in first
    for label in (LOW, HIGH):
        assert f"sampler.center=0.1 is open under {label} (" in last
    assert "under low" not in last.partition("sampler.center=0.2")[2]  # settled, and told before
