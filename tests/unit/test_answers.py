"""What is said of results where something is missing: fits that failed, images that a race left out."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from n2n_ablate.fit import FitResult
from n2n_ablate.report import legends, words
from n2n_ablate.results import Row, StudyResult, TrialResult, answer
from n2n_ablate.results.best import choose
from n2n_ablate.results.compare import compare, sentences
from n2n_ablate.results.export import to_json
from n2n_ablate.results.header import Header, Mark
from n2n_ablate.results.looks import looks_of
from n2n_ablate.screen import tables
from n2n_ablate.study import plan, read

LOW, HIGH = "low", "high"
TEXT = """
name = "small"
question = "Does the centre matter?"
design = "one-at-a-time"

[baseline]
sampler = { name = "three-by-three", center = 0.01 }
backbone = { name = "zs-n2n", width = 4 }
loss = "residual-consistency"
training = "adam"

[[conditions]]
noise = { name = "gaussian", sigma = 15.0 }
label = "low"
[[conditions]]
noise = { name = "gaussian", sigma = 50.0 }
label = "high"

[factors]
"sampler.center" = [0.1, 0.2]

[profiles.quick]
images = ["builtin:astronaut"]
"""
NAN = math.nan  # a fit that failed
BASE = [20.0, 25.0, 30.0, 22.0]


@pytest.fixture
def planned(folder, registry):
    (folder / "small.toml").write_text(TEXT)
    return plan(read(folder / "small.toml"), registry)


def trial(known, by_condition):
    """A trial of one seed from its PSNR by image, for each condition."""
    rows = []
    for condition, psnrs in by_condition.items():
        for place, psnr in enumerate(psnrs):
            lost = math.isnan(psnr)
            figures = {} if lost else {"psnr": psnr, "ssim": 0.5, "loss": 0.1}
            curves = {} if lost else {"psnr": np.array([psnr - 2, psnr])}
            key = f"{known.name}, {condition}, {place}"
            failure = "diverged by step 3" if lost else ""
            result = FitResult(key, figures, np.array([1, 2]), curves, None, 1.0, failure)
            rows.append(Row(condition, f"image {place}", 0, result))
    return TrialResult(known, tuple(rows))


def made(planned, base, one, two):
    """Baseline, 0.1 and 0.2, each by condition or the same under both."""
    given = [
        item if isinstance(item, dict) else {LOW: item, HIGH: item} for item in (base, one, two)
    ]
    return StudyResult(planned, tuple(map(trial, planned.fixed, given)))


def header(planned, images=4, looks=()):
    marks = tuple(Mark(f"image {place}", str(place), (3, 24, 24)) for place in range(images))
    return Header(planned, marks, 30, "cpu", "fp32", looks=looks)


def sentence(result, condition=LOW, **more):
    return answer.sentence(result, header(result.plan, **more), condition)


def test_a_baseline_without_any_result_is_said_first_and_nothing_is_compared_with_it(planned):
    result = made(planned, [NAN] * 4, [20.0, NAN, 30.0, 22.0], BASE)
    assert sentence(result) == (
        "The baseline (sampler.center=0.01) lost all its fits, so nothing can be compared; 4 images of "
        "24x24 pixels, 30 steps, 1 seed, low."
    )
    assert answer.best_sentence(result, LOW) == (
        "Highest mean PSNR: sampler.center=0.2 with 24.25 dB; it cannot be compared, the baseline lost "
        "all its fits."
    )
    found = choose(result)
    assert found.trial is planned.baseline
    assert found.reasons[0] == (
        "The baseline (sampler.center=0.01) lost all its fits, so nothing can be compared with it."
    )
    assert not any("so it stays" in reason for reason in found.reasons)
    assert found.reasons[2] == (
        "sampler.center=0.2 has the highest mean of all trials: it cannot be compared, the baseline "
        "failed. --trial 'sampler.center=0.2' takes it all the same."
    )


def test_a_baseline_that_failed_in_the_confirmation_is_said_there(planned):
    later = made(planned, [NAN] * 4, BASE, BASE)
    better = made(planned, BASE, BASE, [value + 1 + value / 100 for value in BASE])
    result = replace(better, confirmed=later)
    own = header(planned)
    told = answer.sentence(result, own.with_confirmed(own), LOW)
    assert told.startswith("Tried again on images and seeds that no trial ever saw: the baseline")
    assert "the baseline (sampler.center=0.01) lost all its fits" in told
    found = choose(result)
    assert "lost all its fits in the confirmation, so nothing can be compared" in found.reasons[0]
    assert "it cannot be compared, the baseline failed" in found.reasons[2]


def test_a_baseline_that_failed_under_one_condition_is_said_under_that_one(planned):
    result = made(planned, {LOW: BASE, HIGH: [NAN] * 4}, BASE, [value + 1 for value in BASE])
    assert "lost all its fits" not in sentence(result, LOW)
    assert "so nothing can be compared" in sentence(result, HIGH)
    assert (
        "lost 4 of its 8 fits, so nothing can be compared under high" in choose(result).reasons[1]
    )


def test_a_contrast_that_shares_no_image_with_an_unstable_baseline_is_named(planned):
    result = made(planned, [20.0, NAN, NAN, NAN], BASE, [NAN, 25.0, 30.0, 22.0])
    assert "0.2 has no result that can be compared" in sentence(result)
    assert "0.1 is not distinguishable" in sentence(result)


def test_a_baseline_with_no_whole_image_did_not_lose_all_fits(planned):
    result = made(planned, BASE, BASE, BASE)
    base = result.trials[0]
    again = [
        replace(row, seed=1, result=replace(row.result, figures={}, failure="diverged"))
        for row in base.rows
    ]
    seeded = replace(base, rows=(*base.rows, *again))
    told = sentence(replace(result, trials=(seeded, *result.trials[1:])))
    assert "lost a fit on every image, so nothing can be compared" in told


def raced(planned, *, settled, images=12):
    """A race of both contrasts under both conditions; 0.2 is settled at the first look under `settled`."""
    spread = np.random.default_rng(0).normal(size=(2, images))
    base = [25.0 + place for place in range(images)]
    clear, open_ = (
        [value + gain + width * more for value, more in zip(base, draws, strict=True)]
        for draws, gain, width in ((spread[0], 1.0, 0.05), (spread[1], 0.0, 1.0))
    )
    two = {label: clear if label in settled else open_ for label in (LOW, HIGH)}
    looks = (4, 6, 8, images)
    result = made(planned, base, open_, two)
    known = header(planned, images, looks)
    return replace(result, looks=looks_of(known, result.trials)), known


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
    assert tables.legend(result, HIGH)[2:] == []
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


def test_equal_differences_do_not_hide_the_images_that_a_trial_lost(planned):
    result = made(planned, BASE, [20.0, 25.0, 30.0, NAN], [20.0, NAN, NAN, NAN])
    told = sentence(result)
    assert (
        "0.1 is not distinguishable from it (+0.00 (all equal) dB; no difference on the 3 images that"
        in told
    )
    assert "both have; 1 image lost)" in told
    assert "(n=1) dB; one image that both have gives no interval; 3 images lost)" in told
    assert (
        "no difference on the 3 images that both have; 1 image lost."
        in (sentences(compare(result, result.trials[1], result.trials[0], LOW), 0.05)[0])
    )


def test_the_scope_counts_the_images_that_a_difference_rests_on(planned):
    shorter = [20.0, 25.0, NAN, 22.0]
    result = made(planned, shorter, [19.0, 24.1, NAN, 20.9], [21.0, 26.1, NAN, 22.9])
    assert not any(line.difference.caveat for line in result.lines(LOW) if line.difference)
    assert "; 3 of 4 images of 24x24 pixels" in sentence(result)
    data = to_json(result, header(planned))["conditions"][0]
    assert data["scope"].startswith("3 of 4 images")
    whole = made(planned, BASE, [19.0, 24.1, NAN, 20.9], [21.0, 26.1, 30.9, 22.9])
    assert "; 4 images of 24x24 pixels" in sentence(whole)  # one difference has them all


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
