"""From fits to the table and the answer: averages, failures, one-image studies, widths of terminals."""

import dataclasses
import io
import json
import math
import re

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from n2n_ablate import engine, stats
from n2n_ablate.analysis import Row, StudyResult, TrialResult, answer, export
from n2n_ablate.analysis.header import header_of
from n2n_ablate.engine import FitResult, Point
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.report.screen import tables
from n2n_ablate.report.screen.cells import Name
from n2n_ablate.report.screen.console import Live, Plain, summary
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.storage.invocation import Invocation
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
    return StudyResult(bench.plan, results, reference_methods)


def lines(result):
    return {line.name: line for line in result.lines("sigma 25")}


def test_seeds_are_averaged_within_an_image_before_anything_else(bench):
    result = trial(bench.plan.baseline, [20.0, 30.0, 22.0, 30.0])
    assert result.by_image("psnr", "sigma 25") == {"astronaut": 21.0, "coffee": 30.0}
    assert result.mean("psnr", "sigma 25") == 25.5


def test_an_image_with_a_failed_seed_is_left_out_whole(bench):
    result = trial(bench.plan.baseline, [20.0, 30.0, 22.0, 30.0], failures=[2])
    assert result.by_image("psnr", "sigma 25") == {"coffee": 30.0}
    assert result.failures == 1
    everything = StudyResult(bench.plan, (result,))
    assert "1 of 4 fits failed" in answer.failures(everything)
    assert "astronaut, seed 1: lost" in answer.failures(everything)


def test_a_trial_without_any_result_stands_last_and_has_no_numbers(bench):
    lost = trial(bench.plan.fixed[1], [0.0, 0.0], failures=[0, 1])
    result = StudyResult(bench.plan, (trial(bench.plan.baseline, [20.0, 30.0]), lost))
    last = result.lines("sigma 25")[-1]
    assert last.name == "sampler.center=0.2"
    assert math.isnan(last.figures["psnr"])
    assert last.difference is None
    table = Console(file=io.StringIO(), width=120)
    table.print(tables.study_table(result, "sigma 25", 120))
    assert "failed" in table.file.getvalue()
    assert export.to_json(result, header_of(bench))["conditions"][0]["trials"][-1]["psnr"] is None


def test_a_trial_that_lost_its_hardest_image_is_not_ranked_above_whole_ones(bench):
    lucky = trial(bench.plan.fixed[1], [0.0, 29.0], failures=[0])
    result = StudyResult(bench.plan, (trial(bench.plan.baseline, [20.0, 30.0]), lucky))
    assert [line.name for line in result.lines("sigma 25")] == ["baseline", "sampler.center=0.2"]
    assert answer.best(result, "sigma 25").name == "baseline"


def test_rows_are_ranked_and_compared_with_the_baseline(bench):
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.2], reference=[30.0, 31.0])
    own = lines(result)
    assert [line.name for line in result.lines("sigma 25")][:2] == ["diagonal", "baseline"]
    assert own["sampler.center=0.2"].difference.mean == pytest.approx(-0.9)
    assert own["sampler.center=0.2"].verdict
    assert own["diagonal"].verdict == ""  # a reference is no contrast of the study
    assert answer.best(result, "sigma 25").name == "baseline"
    assert own["noisy"].difference.n == 1


def test_the_answer_names_verdict_interval_and_scope(bench):
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.02])
    told = answer.sentence(result, header_of(bench), "sigma 25")
    assert told.startswith(
        "Against the baseline (sampler.center=0.01), 0.2 is worse (\u22120.99 \u00b1 0.13 dB)"
    )
    assert told.endswith("2 images of 24x24 pixels, 30 steps, 1 seed, sigma 25; not confirmed.")


def test_one_image_gives_a_sentence_without_an_interval(bench):
    result = StudyResult(
        bench.plan,
        (trial(bench.plan.baseline, [26.0]), trial(bench.plan.fixed[1], [25.0])),
    )
    told = answer.sentence(result, header_of(bench), "sigma 25")
    assert (
        "0.2 is not distinguishable from it (\u22121.00 (n=1) dB; one image gives no interval)"
        in told
    )


def test_an_open_question_names_what_could_be_seen_and_what_would_settle_it(bench):
    result = found(bench, base=[26.0, 28.0], contrast=[25.9, 28.02])
    told = answer.sentence(result, header_of(bench), "sigma 25")
    # sd .0849 over 2 images: t(.975, 1) = 12.7 standard errors
    assert "0.2 is not distinguishable from it (\u22120.04 \u00b1 0.76 dB; " in told
    assert "0.98 dB would have been seen" in told
    assert "9 to over 1000 images would settle it if its mean stays)" in told


def test_equal_trials_are_said_to_be_equal(bench):
    result = found(bench, base=[26.0, 28.0], contrast=[26.0, 28.0])
    told = answer.sentence(result, header_of(bench), "sigma 25")
    assert "(+0.00 (all equal) dB; no difference on any image)" in told
    assert lines(result)["sampler.center=0.2"].verdict == "not distinguishable"


def test_a_contrast_without_any_result_is_named(bench):
    lost = trial(bench.plan.fixed[1], [0.0, 0.0], failures=[0, 1])
    result = StudyResult(bench.plan, (trial(bench.plan.baseline, [20.0, 30.0]), lost))
    told = answer.sentence(result, header_of(bench), "sigma 25")
    assert "0.2 has no result that can be compared" in told


def test_a_contrast_that_lost_images_is_not_called_better(bench):
    lucky = trial(bench.plan.fixed[1], [0.0, 29.0, 31.0, 31.5, 31.0, 31.0], failures=[0])
    base = trial(bench.plan.baseline, [30.0] * 6)
    line = lines(StudyResult(bench.plan, (base, lucky)))["sampler.center=0.2"]
    assert line.difference.lost == 1
    assert line.verdict == "not distinguishable"


@pytest.fixture
def many(bench):
    """Make a study of several contrasts from the PSNR of each on the images."""

    def make(base, **contrasts):
        plan = bench.plan
        trials = [trial(plan.baseline, base)]
        trials += [
            trial(dataclasses.replace(plan.fixed[1], name=name), values)
            for name, values in contrasts.items()
        ]
        own = dataclasses.replace(plan, contrasts=tuple(contrasts))
        return StudyResult(own, tuple(trials))

    return make


def test_many_contrasts_are_grouped_and_caveats_are_named(bench, many):
    result = many([26.0, 28.0], tie=[26.0, 28.0], a=[25.9, 28.02], b=[26.2, 28.0], c=[25.0, 27.02])
    told = answer.sentence(result, header_of(bench), "sigma 25")
    assert "c (\u22120.99 \u00b1 0.51 dB) is worse; tie, a and b are not distinguishable (" in told
    assert "3.92 dB for a to 6.53 dB for b would have been seen" in told
    assert "9 for b to over 1000 images for a would settle them if their means stay" in told
    assert "tie: no difference on any image" in told
    assert "all 4 hold at once" in tables.legend(result, "sigma 25")[0]


def test_a_large_group_tells_its_smallest_and_its_largest_difference(bench, many):
    gains = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    result = many([26.0, 28.0], **{n: [26.0 + g, 28.001 + g] for n, g in gains.items()})
    told = answer.sentence(result, header_of(bench), "sigma 25")
    assert "a, b, c and d are better (+1.00 dB for a to +4.00 dB for d); 2 images" in told


@pytest.mark.parametrize("count", [2, 3, 8])
def test_one_image_is_said_once_however_many_contrasts(bench, many, count):
    result = many([26.0], **{f"arm {n}": [25.0 + n] for n in range(count)})
    told = answer.sentence(result, header_of(bench), "sigma 25")
    assert told.count("one image gives no interval") == 1
    assert told.count("arm 1") == 1


def test_the_last_look_of_a_race_decides(bench):
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.02])
    assert lines(result)["sampler.center=0.2"].verdict == "worse"
    base, arm = (item.by_image("psnr", "sigma 25") for item in result.trials)
    look = stats.Looks((2, 8)).look(1, arm, base, margin=0.05)
    raced = dataclasses.replace(result, looks={("sigma 25", "sampler.center=0.2"): look})
    line = lines(raced)["sampler.center=0.2"]
    assert line.difference.half_width > lines(result)["sampler.center=0.2"].difference.half_width
    assert line.verdict == look.verdict == "not distinguishable"
    assert "at every look" in tables.legend(raced, "sigma 25")[0]


@pytest.fixture
def seeded(bench):
    """Two images, three seeds, in which everything has a spread."""
    return found(
        bench,
        base=[26.0, 28.0, 26.3, 28.2, 25.9, 28.1],
        contrast=[25.0, 27.1, 25.2, 27.3, 24.8, 27.25],
    )


def test_plain_data_carries_every_number_of_a_contrast(bench, seeded):
    data = export.to_json(seeded, header_of(bench))
    json.loads(json.dumps(data, allow_nan=False))
    condition = data["conditions"][0]
    assert condition["family"] == {"contrasts": 1, "level": 0.95, "each": 0.95}
    rows = {row["name"]: row for row in condition["trials"]}
    row, gaps = rows["sampler.center=0.2"], np.array([-16 / 15, -0.883333])
    assert row["difference"] == pytest.approx(gaps.mean(), abs=1e-5)
    assert row["spread"] == pytest.approx(gaps.std(ddof=1), abs=1e-5)
    assert row["effect"] == pytest.approx(gaps.mean() / gaps.std(ddof=1), rel=1e-4)
    assert (row["wins"], row["losses"], row["ties"], row["lost_images"]) == (0, 2, 0, 0)
    assert (row["p_sign_flip"], row["p_sign_flip_smallest"]) == (0.5, 0.5)
    assert row["p_holm"] == row["p"]
    assert row["interval_bca"] is None  # 24 images or more
    assert row["detectable"] > 0
    assert row["images_to_settle"][0] < row["images_to_settle"][1]
    assert row["curve"]["peak_step"] == 30
    assert "p" not in rows["baseline"]


def test_plain_data_says_where_uncertainty_comes_from(bench, seeded):
    condition = export.to_json(seeded, header_of(bench))["conditions"][0]
    account = condition["variance"]
    assert (account["images"], account["seeds"], account["contrasts"]) == (2, 3, 1)
    assert 0 < account["share_of_seeds"] <= 1
    assert account["sd_image"] == pytest.approx(math.sqrt(2), abs=0.1)
    one = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.1])
    account = export.to_json(one, header_of(bench))["conditions"][0]["variance"]
    assert "one seed" in account["advice"]
    assert account["share_of_seeds"] is None


def test_plain_data_says_how_well_the_loss_would_have_chosen(bench, seeded):
    guide = export.to_json(seeded, header_of(bench))["conditions"][0]["loss_as_guide"]
    assert (guide["trials"], guide["images"]) == (2, 2)
    assert guide["tau"] is None  # all losses are equal here
    assert guide["cost"] == 0  # of equals the first, which is the better one
    assert "differ in their samplers" in guide["caveat"]  # 0.01 and 0.2 cut other views


def test_the_legend_explains_interval_and_words(bench, seeded):
    told = tables.legend(seeded, "sigma 25")
    assert told[0] == "\u00b1: 95 % t interval over images."
    assert told[1] == (
        "equivalent: within \u00b10.05 dB; better, worse: excludes 0; unclear: neither."
    )
    assert tables.legend(found(bench, base=[26.0, 28.0]), "sigma 25") == []
    unclear = found(bench, base=[26.0, 28.0, 26.3, 28.2], contrast=[25.9, 28.1, 26.4, 28.0])
    told_of = tables.legend(unclear, "sigma 25")
    assert "would settle: so many new images, in a study or a race (--until-settled)" in " ".join(
        told_of
    )
    assert told_of[2].startswith("unclear: called not disting")
    assert told_of[-2] == "Twice the images would narrow these intervals by 29%,"
    assert told_of[-1].startswith("twice the seeds by ")
    assert max(map(len, [*told, *tables.legend(unclear, "sigma 25")])) <= 80


def test_nothing_yet_is_said_as_it_is(bench):
    assert "No contrast has a result yet" in answer.sentence(
        StudyResult(bench.plan, ()), header_of(bench), "sigma 25"
    )
    assert "every one lost a fit" in answer.best_sentence(StudyResult(bench.plan, ()), "sigma 25")


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_table_keeps_every_number_whole_at_any_width(bench, width):
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.2], reference=[30.0, 31.0])
    console = Console(file=io.StringIO(), width=width)
    console.print(tables.study_table(result, "sigma 25", width))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for number in ("30.50", "27.00", "26.10", "\u22120.90 \u00b1 1.27"):
        assert number in text


def test_names_break_behind_dots_underscores_and_equals_signs():
    console = Console(file=io.StringIO(), width=20)
    grid = Table.grid()
    name = "sampler=stripe, loss.consistency_weight=0.25, sampler.center=0.5"
    grid.add_row(Name(name))
    console.print(grid)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines == ["sampler=stripe,", "loss.consistency_", "weight=0.25,", "sampler.center=0.5"]
    narrow = Table.grid()
    narrow.add_row(Name("a" * 30))
    console.print(narrow)
    assert max(map(len, console.file.getvalue().splitlines())) <= 20


def test_a_table_without_place_for_curves_says_where_there_is_one(bench):
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.2])
    (told,) = tables.left_out(result, 60)
    need = int(re.search(r"From (\d+) columns", told)[1])
    assert tables.left_out(result, need) == []
    titles = [column.header for column in tables.study_table(result, "sigma 25", need).columns]
    assert titles[-1] == "PSNR by step"


@pytest.mark.parametrize(
    ("values", "bars"),
    [([0, 1], "▁▁▁▁▁█████"), ([], ""), ([3.0], "▁" * 10), ([math.nan, 1, 2], "   ▁▁▁▁███")],
)
def test_sparklines(values, bars):
    assert tables.sparkline(values) == bars


def test_signed_numbers_have_a_real_minus_and_no_negative_zero():
    assert answer.signed(-0.5) == "\u22120.50"
    assert answer.signed(-0.001) == "+0.00"
    assert answer.signed(0.25) == "+0.25"


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
        so_far = StudyResult(bench.plan, result.trials[:number])
        told.trial_finished(item, so_far, bench.samples)
    told.study_finished(result, "finished")
    view.close()


@pytest.mark.parametrize("kind", [Plain, Live])
def test_a_view_tells_every_trial_in_a_line(bench, kind):
    console = Console(file=io.StringIO(), width=100, force_terminal=kind is Live)
    result = found(bench, base=[26.0, 28.0], contrast=[25.0, 27.2])
    drive(kind(console), bench, result)
    text = console.file.getvalue()
    assert "4 trials of 2 fits on test, fp32" in text
    assert "[1/4] baseline  27.00 dB  2.0 s a fit" in text
    assert "[2/4] sampler.center=0.2  26.10 dB (\u22120.90 \u00b1 1.27)" in text


def test_a_summary_counts_failures(bench):
    lost = trial(bench.plan.baseline, [20.0, 30.0], failures=[0])
    assert "1 of 2 fits failed" in summary(lost, StudyResult(bench.plan, (lost,)))
