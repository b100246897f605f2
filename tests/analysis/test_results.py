"""From fits to the table and the answer: averages, failures, one-image studies, widths of terminals."""

import dataclasses
import io
import json
import math
import re

import numpy as np
import pytest
from rich.console import Console

from n2n_ablate import engine
from n2n_ablate.analysis.analyse import analyse, to_json
from n2n_ablate.analysis.records import Planning, Reason, Verdict
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.records import FitResult, Invocation, Point, Row, StudyTrials, TrialResult
from n2n_ablate.report import tables
from n2n_ablate.report.live import Live, Plain
from n2n_ablate.report.render.console import print_document
from n2n_ablate.report.study import study_document
from n2n_ablate.report.text.contrasts import contrast_line, finding, planning_lines
from n2n_ablate.report.text.progress import trial_finished
from n2n_ablate.report.text.study import failures_text, variance_text
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.stats import Buy
from n2n_ablate.study import plan, read

MACHINE = engine.Machine("cpu", "fp32", 1, 1, "test")


@pytest.fixture
def bench(tiny, registry):
    return PairedData(plan(read(tiny), registry), registry, MACHINE)


def fitted(key, psnr, failure=""):
    return FitResult(
        key=key,
        figures={} if failure else {"psnr": psnr, "ssim": 0.5, "loss": 0.1},
        steps=np.array([10, 30], dtype=np.int32),
        curves={} if failure else {"psnr": np.array([psnr - 5, psnr], dtype=np.float32)},
        denoised=None,
        seconds=2.0,
        failure=failure,
    )


def trial(given, psnrs, failures=()):
    images = ("astronaut", "coffee")
    rows = [
        Row(
            "sigma 25",
            images[i % 2],
            i // 2,
            fitted(f"{given.name}{i}", p, "lost" * (i in failures)),
        )
        for i, p in enumerate(psnrs)
    ]
    return TrialResult(given, tuple(rows))


def found(bench, **psnrs):
    base, contrast, reference = bench.plan.fixed
    known = {"base": base, "contrast": contrast, "reference": reference}
    reference_methods = {"noisy": {("sigma 25", "astronaut"): {"psnr": 20.0, "ssim": 0.3}}}
    results = tuple(trial(known[name], values) for name, values in psnrs.items())
    return StudyTrials(bench.plan, results, reference_methods)


def analysis(bench, result):
    return analyse(result, bench.header())


def here(bench, result):
    return analysis(bench, result).condition("sigma 25")


def rows(bench, result):
    return {row.name: row for row in here(bench, result).trials}


def only(bench, result):
    """The record of the only contrast."""
    return here(bench, result).contrasts[0]


def printed(bench, result, width=120):
    console = Console(file=io.StringIO(), width=width)
    print_document(console, study_document(analysis(bench, result)))
    return console.file.getvalue()


def test_seeds_are_averaged_within_an_image_before_anything_else(bench):
    result = trial(bench.plan.baseline, [20.0, 30.0, 22.0, 30.0])
    assert result.by_image("psnr", "sigma 25") == {"astronaut": 21.0, "coffee": 30.0}
    assert result.mean("psnr", "sigma 25") == 25.5


def test_an_image_with_a_failed_seed_is_left_out_whole(bench):
    result = trial(bench.plan.baseline, [20.0, 30.0, 22.0, 30.0], failures=[2])
    assert result.by_image("psnr", "sigma 25") == {"coffee": 30.0}
    assert result.failures == 1
    text = failures_text(analysis(bench, StudyTrials(bench.plan, (result,))))
    assert text.startswith("1 of 4 fits failed; their images are excluded")
    assert "astronaut, seed 1: lost" in text


def test_a_trial_without_any_result_stands_last_and_has_no_numbers(bench):
    lost = trial(bench.plan.fixed[1], [0.0, 0.0], failures=[0, 1])
    result = StudyTrials(bench.plan, (trial(bench.plan.baseline, [20.0, 30.0]), lost))
    last = here(bench, result).trials[-1]
    assert last.name == "sampler.center=0.2"
    assert last.means["psnr"] is None
    assert last.contrast.estimate is None
    assert "2 of 2" in printed(bench, result)
    data = to_json(result, bench.header())
    assert data["conditions"][0]["trials"][-1]["means"]["psnr"] is None


def test_a_trial_that_lost_its_hardest_image_is_not_ranked_above_whole_ones(bench):
    lucky = trial(bench.plan.fixed[1], [0.0, 29.0], failures=[0])
    result = StudyTrials(bench.plan, (trial(bench.plan.baseline, [20.0, 30.0]), lucky))
    assert [row.name for row in here(bench, result).trials] == ["baseline", "sampler.center=0.2"]
    assert here(bench, result).highest.name == "baseline"


def test_rows_are_ranked_and_compared_with_the_baseline(bench):
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.2], reference=[30.0, 31.0])
    known = rows(bench, result)
    assert list(known)[:2] == ["diagonal", "baseline"]
    assert known["sampler.center=0.2"].contrast.estimate == pytest.approx(-0.9)
    assert known["sampler.center=0.2"].contrast.verdict
    assert known["diagonal"].contrast.verdict is None  # a reference is no contrast of the study
    assert here(bench, result).highest.name == "baseline"
    assert known["noisy"].contrast.n_images == 1
    assert (known["diagonal"].rank, known["baseline"].rank) == (None, 1)


def test_the_answer_names_contrast_verdict_interval_and_scope(bench):
    text = printed(bench, found(bench, base=[26.0, 28.0], contrast=[25.0, 27.02]))
    assert "center = 0.2 vs 0.01: worse by 0.99 dB (95 % CI \u22121.12 to \u22120.86)" in text
    assert "2 images of 24\u00d724 pixels, 30 steps, 1 seed, sigma 25" in text


def test_one_image_gives_no_interval_and_says_so(bench):
    result = StudyTrials(
        bench.plan,
        (trial(bench.plan.baseline, [26.0]), trial(bench.plan.fixed[1], [25.0])),
    )
    record = only(bench, result)
    assert (record.verdict, record.reason) == (Verdict.WITHHELD, Reason.ONE_IMAGE)
    assert finding(record) == (
        "verdict withheld: one image gives no confidence interval (\u22121.00 dB)"
    )


def test_an_inconclusive_contrast_says_what_it_would_take(bench):
    result = found(bench, base=[26.0, 28.0, 26.3, 28.2], contrast=[25.9, 28.1, 26.4, 28.0])
    record = only(bench, result)
    assert record.verdict is Verdict.INCONCLUSIVE
    assert finding(record).startswith("inconclusive (\u22120.03 dB, 95 % CI ")
    assert record.planning is None  # two images say too little about their spread
    planned = dataclasses.replace(record, planning=Planning(0.976, 1234))
    detects, needs = planning_lines([planned])
    assert detects == (
        "A true difference of 0.98 dB would be detected in about 4 of 5 such studies."
    )
    assert needs.startswith(
        "To resolve center = 0.2 vs 0.01, run a new study on more than 1000 new images;"
    )
    few = dataclasses.replace(record, planning=Planning(0.976, 16))
    assert "a new study on about 16 new images" in planning_lines([few])[1]


def test_equal_trials_are_identical(bench):
    record = only(bench, found(bench, base=[26.0, 28.0], contrast=[26.0, 28.0]))
    assert record.verdict is Verdict.IDENTICAL
    assert finding(record) == "identical on all 2 images"


def test_a_contrast_without_any_result_is_named(bench):
    lost = trial(bench.plan.fixed[1], [0.0, 0.0], failures=[0, 1])
    result = StudyTrials(bench.plan, (trial(bench.plan.baseline, [20.0, 30.0]), lost))
    assert "center = 0.2 vs 0.01: no result: the trial failed on every image" in contrast_line(
        only(bench, result)
    )


def test_a_contrast_that_lost_images_is_not_called_better(bench):
    lucky = trial(bench.plan.fixed[1], [0.0, 29.0, 31.0, 31.5, 31.0, 31.0], failures=[0])
    base = trial(bench.plan.baseline, [30.0] * 6)
    record = only(bench, StudyTrials(bench.plan, (base, lucky)))
    assert record.lost_by_trial == 1
    assert (record.verdict, record.reason) == (Verdict.WITHHELD, Reason.TRIAL_LOST_IMAGES)


@pytest.fixture
def many(bench):
    """Make a study of several contrasts from the PSNR of each on the images."""

    def make(base, **contrasts):
        plan = bench.plan
        declared = [dataclasses.replace(plan.fixed[1], name=name) for name in contrasts]
        trials = [trial(plan.baseline, base)]
        trials += [trial(*pair) for pair in zip(declared, contrasts.values(), strict=True)]
        own = dataclasses.replace(plan, contrasts=tuple(contrasts), declared=tuple(declared))
        return StudyTrials(own, tuple(trials))

    return make


@pytest.mark.parametrize("count", [2, 3, 8])
def test_every_contrast_has_a_line_of_its_own(bench, many, count):
    result = many([26.0, 28.0], **{f"arm {n}": [25.0 + n, 27.01 + n] for n in range(count)})
    found_here = analyse(result, dataclasses.replace(bench.header(), plan=result.plan))
    (lines,) = (
        block.lines
        for block in study_document(found_here).blocks
        if getattr(block, "role", "") == "contrasts"
    )
    assert len(lines) == count
    assert found_here.family.levels.difference == pytest.approx(1 - 0.05 / count)


@pytest.fixture
def seeded(bench):
    """Two images, three seeds, in which everything has a spread."""
    return found(
        bench,
        base=[26.0, 28.0, 26.3, 28.2, 25.9, 28.1],
        contrast=[25.0, 27.1, 25.2, 27.3, 24.8, 27.25],
    )


def test_plain_data_carries_every_number_of_a_contrast(bench, seeded):
    data = to_json(seeded, bench.header())
    json.loads(json.dumps(data, allow_nan=False))
    assert data["family"] == {"contrasts": 1, "conditions": 1, "alpha": 0.05}
    (record,) = data["conditions"][0]["contrasts"]
    gaps = np.array([-16 / 15, -0.883333])
    assert record["estimate"] == pytest.approx(gaps.mean(), abs=1e-5)
    assert record["sd"] == pytest.approx(gaps.std(ddof=1), abs=1e-5)
    assert record["effect_size"] == pytest.approx(gaps.mean() / gaps.std(ddof=1), rel=1e-4)
    wins = record["wins"]
    assert (wins["wins"], wins["losses"], wins["ties"], record["lost_by_trial"]) == (0, 2, 0, 0)
    assert (record["p_sign_flip"], record["p_sign_flip_smallest"]) == (0.5, 0.5)
    assert record["p_holm"] == record["p"]
    rows = {row["name"]: row for row in data["conditions"][0]["trials"]}
    assert rows["sampler.center=0.2"]["peak"]["step"] == 30
    assert rows["baseline"]["contrast"] is None
    assert data["recipes"]["baseline"]["sampler.center"] == 0.01


def test_plain_data_says_where_uncertainty_comes_from(bench, seeded):
    account = to_json(seeded, bench.header())["conditions"][0]["variance"]
    assert (account["n_images"], account["n_seeds"], account["n_contrasts"]) == (2, 3, 1)
    assert 0 < account["seed_share"] <= 1
    assert account["sd_image"] == pytest.approx(math.sqrt(2), abs=0.1)
    one = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.1])
    variance = here(bench, one).variance
    assert (variance.code, variance.seed_share) == (Buy.ONE_SEED, None)
    assert variance_text(variance) == ""
    assert variance_text(here(bench, seeded).variance).startswith("Seeds make up ")


def test_plain_data_says_how_well_the_loss_would_have_chosen(bench, seeded):
    guide = to_json(seeded, bench.header())["conditions"][0]["loss_guide"]
    assert (guide["n_trials"], guide["n_images"]) == (2, 2)
    assert guide["tau"] is None  # all losses are equal here
    assert guide["cost"] == 0  # of equals the first, which is the better one
    assert guide["n_samplers"] == 2  # 0.01 and 0.2 cut other views


def test_notes_explain_only_what_the_table_shows(bench):
    clear = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.02])
    notes = tables.trials_table(analysis(bench, clear), here(bench, clear)).notes
    assert notes[0] == "CI: 95 % confidence interval across images."
    assert notes[1] == "Worse: the 95 % CI excludes 0."
    none = found(bench, base=[26.0, 28.0])
    assert "verdict" not in printed(bench, none)
    open_ = found(bench, base=[26.0, 28.0, 26.3, 28.2], contrast=[25.9, 28.1, 26.4, 28.0])
    notes = tables.trials_table(analysis(bench, open_), here(bench, open_)).notes
    assert notes[1] == (
        "Inconclusive: the CI includes 0, and equivalence within \u00b10.05 dB is not shown either."
    )


def test_nothing_yet_is_said_as_it_is(bench):
    text = printed(bench, StudyTrials(bench.plan, ()))
    assert "The baseline has not run yet" in text
    assert "No trial is complete" in text


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_table_keeps_every_number_whole_at_any_width(bench, width):
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.2], reference=[30.0, 31.0])
    text = printed(bench, result, width)
    assert max(map(len, text.splitlines())) <= width
    for number in ("30.50", "27.00", "26.10", "\u22120.90", "\u22122.17 to +0.37"):
        assert number in text


def test_a_table_without_place_for_curves_says_where_there_is_one(bench):
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.2])
    text = printed(bench, result, 60)
    need = int(re.search(r"Widen the terminal to (\d+) columns to see", text)[1])
    assert "PSNR by step" in printed(bench, result, need).partition("Result (")[0]
    assert "Widen" not in printed(bench, result, need)


def drive(view, bench, result):
    told = HookDispatcher()
    told.join(view, "the view")
    about = Invocation("1", "", bench.machine.name, bench.machine.precision, {})
    told.study_started(bench.plan, about, len(bench.samples), 30)
    for number, item in enumerate(result.trials, 1):
        told.trial_started(item.trial, len(item.rows), 0)
        for row in item.rows:
            told.point(Point(row.result.key, 15, 30, {"psnr": 20.0}))
            told.point(Point(row.result.key, 30, 30, {"psnr": 25.0}))
            told.fit_finished(row.result)
        so_far = StudyTrials(bench.plan, result.trials[:number])
        told.trial_finished(item, so_far, bench.samples)
    told.study_finished(result, "finished")
    view.close()


@pytest.mark.parametrize("kind", [Plain, Live])
def test_a_view_tells_every_trial_in_a_line(bench, kind):
    console = Console(file=io.StringIO(), width=100, force_terminal=kind is Live)
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.2])
    drive(kind(console), bench, result)
    text = console.file.getvalue()
    assert "4 trials \u00d7 2 fits on test, fp32" in text
    assert "[1/4] baseline  27.00 dB  2.0 s/fit" in text
    assert "[2/4] sampler.center=0.2  26.10 dB (\u22120.90)  2.0 s/fit" in text


def test_a_summary_counts_failures(bench):
    lost = trial(bench.plan.baseline, [20.0, 30.0], failures=[0])
    assert "1 of 2 fits failed" in trial_finished(lost, StudyTrials(bench.plan, (lost,)))
