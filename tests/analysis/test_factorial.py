"""Factorial designs: every cell once, effects worked by hand, paired by image, at once."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from n2n_ablate.analysis.analyse import analyse, to_json
from n2n_ablate.analysis.paired import Paired, effect_sides
from n2n_ablate.analysis.records import Reason, Verdict
from n2n_ablate.cli import app
from n2n_ablate.errors import StudyError
from n2n_ablate.records import FitResult, Header, ImageRef, Row, StudyTrials, TrialResult
from n2n_ablate.report.tables import effects_table
from n2n_ablate.report.text.contrasts import contrast_line, verdict_word
from n2n_ablate.stats import Buy, Levels, t_critical
from n2n_ablate.study import plan, read, saved

FACTORS = """
"sampler.center" = [0.01, 0.2]
"loss.consistency_weight" = [0.5]
estimator = ["flips", "weight-ema"]
"""
A, B, F, E = (
    "sampler.center=0.2",
    "loss.consistency_weight=0.5",
    "estimator=flips",
    "estimator=weight-ema",
)


@pytest.fixture
def text(tiny):
    text = (
        tiny.read_text()
        .replace('design = "search"', 'design = "factorial"')
        .replace('[search]\nstrategy = { name = "tpe", startup = 2 }\n', "")
    )
    text = text.replace('contrasts = [{ "sampler.center" = 0.2 }]', "")
    return text.replace('"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }', FACTORS)


@pytest.fixture
def planned(tiny, text, registry):
    tiny.write_text(text)
    return plan(read(tiny), registry, trials=12)


def test_every_combination_of_levels_is_a_cell_and_the_baselines_level_is_one(planned):
    assert [trial.name for trial in planned.declared] == [
        *(A, B, F, E),
        f"{B}, {F}",
        f"{B}, {E}",
        f"{A}, {F}",
        f"{A}, {E}",
        f"{A}, {B}",
        f"{A}, {B}, {F}",
        f"{A}, {B}, {E}",
    ]
    assert planned.contrasts == ()
    assert len({trial.recipe for trial in (planned.baseline, *planned.declared)}) == 2 * 2 * 3


def test_effects_compare_the_halves_of_the_cells_that_differ_in_nothing_else(planned):
    found = {own.name: own for own in planned.effects}
    assert list(found) == [
        A,
        B,
        F,
        E,
        f"{A} x {B}",
        f"{A} x {F}",
        f"{A} x {E}",
        f"{B} x {F}",
        f"{B} x {E}",
    ]
    assert found[F].plus == (F, f"{B}, {F}", f"{A}, {F}", f"{A}, {B}, {F}")
    assert found[F].minus == ("baseline", B, A, f"{A}, {B}")  # not those with the other estimator
    pair = found[f"{A} x {B}"]
    assert set(pair.plus) == {"baseline", F, E, f"{A}, {B}", f"{A}, {B}, {F}", f"{A}, {B}, {E}"}
    assert set(pair.minus) == {A, B, f"{A}, {F}", f"{A}, {E}", f"{B}, {F}", f"{B}, {E}"}
    assert (found[A].order, pair.order) == (1, 2)


def test_a_plan_with_effects_is_saved_and_read_again(planned):
    again = saved.from_json(json.loads(json.dumps(saved.to_json(planned))))
    assert again.effects == planned.effects


def test_contrasts_of_a_factorial_choose_its_effects(tiny, text, registry):
    chosen = (
        'contrasts = [{ estimator = "flips" }, { "sampler.center" = 0.2, estimator = "flips" }]'
    )
    tiny.write_text(chosen + text)
    assert [own.name for own in plan(read(tiny), registry).effects] == [F, f"{A} x {F}"]
    tiny.write_text('contrasts = [{ estimator = "flop" }]' + text)
    with pytest.raises(StudyError, match="is no effect of this factorial"):
        plan(read(tiny), registry)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--until-settled"], "effects, which need every cell whole"),
        (["--confirm-images", "builtin:cat"], "a factorial has effects, no contrasts to confirm"),
    ],
)
def test_what_belongs_to_contrasts_is_refused(tiny, text, tmp_path, more, said):
    tiny.write_text(text)
    words = ["study", str(tiny), "--trials", "12", "--tracking", "none", "--output", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, *more])
    assert isinstance(done.exception, StudyError)
    assert said in str(done.exception)


# Numbers


def side(**values):
    return {image: np.array([value]) for image, value in values.items()}


def effect(plus, minus, order=1):
    given = list(dict.fromkeys(image for cell in (*plus, *minus) for image in cell))
    return Paired.of(*effect_sides(plus, minus, order=order), given, {})


def test_effects_worked_by_hand():
    # two factors, PSNR: neither 20, first 21, second 22, both 24.5
    neither, first, second, both = (side(image=value) for value in (20.0, 21.0, 22.0, 24.5))
    assert effect([first, both], [neither, second]).values == 1.75  # (1 + 2.5) / 2
    assert effect([second, both], [neither, first]).values == 2.75  # (2 + 3.5) / 2
    assert effect([both, neither], [first, second], order=2).values == 1.5  # 4.5 - 1 - 2


def test_an_image_that_one_cell_lost_is_left_out_and_told():
    cell, less = side(one=1.0, two=2.0, three=4.0), side(one=1.0, two=2.0)
    found = effect([cell, less], [cell, cell])
    assert (list(found.units), found.lost) == (["one", "two"], (1, 0))
    assert found.reason() is Reason.TRIAL_LOST_IMAGES
    pair = effect([cell, less], [cell, cell], order=2)
    assert (list(pair.units), pair.lost) == (["one", "two"], (1, 1))
    assert pair.reason() is Reason.BOTH_LOST_IMAGES
    assert effect([cell, {}], [cell, cell]).reason() is Reason.TRIAL_FAILED


def result(planned, gains, spread=0.02, images=6, seeds=1):
    """Return a study in which the changes are worth these gains, by name; a pair beyond its sum."""
    rng = np.random.default_rng(1)
    trials = []
    for trial in (planned.baseline, *planned.declared):
        changes = trial.name.split(", ")
        pairs = [f"{one} x {two}" for one in changes for two in changes]
        total = sum(gains.get(name, 0) for name in (*changes, *pairs))
        rows = [
            Row(
                "sigma 25",
                f"image-{k}",
                seed,
                fit(20 + 3 * k + total + spread * rng.standard_normal()),
            )
            for k in range(images)
            for seed in range(seeds)
        ]
        trials.append(TrialResult(trial, tuple(rows)))
    return StudyTrials(planned, tuple(trials))


def fit(psnr, failure=""):
    figures = {} if failure else {"psnr": psnr, "ssim": 0.5}
    steps = np.array([1])
    return FitResult(str(psnr), figures, steps, {}, None, 1.0, failure=failure)


HEADER = {
    "images": tuple(ImageRef(f"image-{k}", "", (3, 24, 24)) for k in range(6)),
    "steps": 30,
    "device": "cpu",
    "precision": "fp32",
}


def analysis(found):
    return analyse(found, Header(plan=found.plan, **HEADER))


def effects(found):
    return {record.contrast.name: record for record in analysis(found).conditions[0].contrasts}


def test_effects_are_found_with_one_family_of_intervals(planned):
    known = effects(result(planned, {A: -0.5, F: 0.3, B: 0.0, f"{A} x {B}": 0.4}))
    # The pair's 0.4 is there in half of the cells: main effects are averages over the others.
    assert known[A].estimate == pytest.approx(-0.5 + 0.2, abs=0.05)
    assert known[B].estimate == pytest.approx(0.2, abs=0.05)
    assert known[f"{A} x {B}"].estimate == pytest.approx(0.4, abs=0.05)
    words = {name: verdict_word(record) for name, record in known.items()}
    assert words[A] == "worse"
    assert words[F] == words[B] == "better"
    assert words[f"{A} x {B}"] == "above the sum"
    assert words[E] == "equivalent"
    assert words[f"{B} x {E}"] in ("additive", "inconclusive")
    level = Levels(9).difference
    assert {record.difference_interval.level for record in known.values()} == {level}
    half = t_critical(level, 6) * known[A].sd / 6**0.5
    assert known[A].difference_interval.half_width == pytest.approx(half)


def test_the_variance_of_a_factorial_is_that_of_its_effects(planned):
    found = result(planned, {A: -0.5}, images=4, seeds=2)
    variance = analysis(found).conditions[0].variance
    assert (variance.n_images, variance.n_seeds, variance.n_contrasts) == (4, 2, 9)
    assert variance.seed_share is not None
    # Rows differ by seed alone, in 6 or 4 cells on each side of an effect.
    assert 0.02 * (2 / 6) ** 0.5 / 2 < variance.sd_trial_seed < 0.02 * (2 / 4) ** 0.5 * 2
    cut = replace(found, trials=tuple(t for t in found.trials if t.trial.name != f"{A}, {F}"))
    assert 0 < analysis(cut).conditions[0].variance.n_contrasts < 9
    none = replace(found, trials=found.trials[:1])
    assert analysis(none).conditions[0].variance.code is Buy.NO_CONTRAST


def test_a_cell_without_a_result_leaves_its_effects_open(planned):
    found = result(planned, {})
    cut = replace(found, trials=tuple(t for t in found.trials if t.trial.name != f"{A}, {F}"))
    known = effects(cut)
    assert known[F].estimate is None
    assert known[F].verdict is Verdict.WITHHELD
    assert known[E].estimate is not None  # its cells are all there


def test_lines_table_and_json_say_the_effects(planned):
    found = result(planned, {A: -0.5, F: 0.3, f"{A} x {B}": 0.4})
    known = effects(found)
    assert contrast_line(known[A]).startswith("sampler.center = 0.2: worse by 0.30 dB (99.44 % CI ")
    assert contrast_line(known[f"{A} x {B}"]).startswith(
        "sampler.center = 0.2 \u00d7 loss.consistency_weight = 0.5: above the sum by 0.39 dB"
    )
    table = effects_table(analysis(found), analysis(found).conditions[0])
    assert [column.title for column in table.columns] == [
        "effect", "change (dB)", "99.44 % CI", "verdict",
    ] or table.columns[2].title == "CI"  # fmt: skip
    assert len(table.rows) == 9
    notes = " ".join(table.notes)
    assert "Bonferroni-corrected for 9 effects" in notes
    assert "Interaction (a \u00d7 b)" in notes
    data = to_json(found, Header(plan=planned, **HEADER))["conditions"][0]["contrasts"]
    told = {record["contrast"]["name"]: record for record in data}
    assert told[A]["verdict"] == "worse"
    assert told[A]["contrast"]["kind"] == "main_effect"
    assert told[f"{A} x {B}"]["contrast"]["kind"] == "interaction"
    ends = told[A]["difference_interval"]
    assert ends["low"] < told[A]["estimate"] < ends["high"]


# Leave one out


def test_leave_one_out_removes_one_part_at_a_time_and_wants_to_know_how(tiny, text, registry):
    text = text.replace('"factorial"', '"leave-one-out"').replace(
        FACTORS,
        """
"loss.consistency_weight" = { without = 0.0 }
"backbone.residual" = { without = false }
""",
    )
    tiny.write_text(text)
    planned = plan(read(tiny), registry)
    base = planned.baseline.recipe.flat()
    differing = [
        {key: value for key, value in trial.recipe.flat().items() if base[key] != value}
        for trial in planned.declared
    ]
    assert differing == [{"loss.consistency_weight": 0.0}, {"backbone.residual": False}]
    for wrong in ("[0.0]", "{ levels = [0.0] }", "{ without = 0.0, levels = [2.0] }"):
        tiny.write_text(text.replace("{ without = 0.0 }", wrong))
        with pytest.raises(StudyError, match="'leave-one-out' wants"):
            read(tiny)
