"""One contrast in full, and which recipe to use: figures by hand, words that claim no more."""

import json
import math
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from n2n_ablate import study
from n2n_ablate.analysis import Row, StudyResult, TrialResult
from n2n_ablate.analysis.answer import shown
from n2n_ablate.analysis.best import choose, toml
from n2n_ablate.analysis.compare import compare, sentences
from n2n_ablate.analysis.names import meant
from n2n_ablate.cli import app
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.engine import FitResult
from n2n_ablate.errors import StoreError
from n2n_ablate.report.screen.console import summary
from n2n_ablate.runner.denoising import choose_recipe
from n2n_ablate.stats import t_critical
from n2n_ablate.study import Trial

HERE = "sigma 25"
STEPS = np.array([1, 2, 3])


@pytest.fixture
def plan(tiny, registry):
    return study.plan(study.read(tiny), registry)


def trial(known, psnrs, *, lost=()):
    """A trial with one seed; its curve climbs in a straight line."""
    rows = []
    for place, psnr in enumerate(psnrs):
        failed = place in lost
        curve = np.array([psnr - 2, psnr - 1, psnr])
        result = FitResult(
            str(place),
            {} if failed else {"psnr": psnr, "ssim": 0.5, "loss": 0.1},
            STEPS,
            {} if failed else {"psnr": curve},
            None,
            1.0,
            failure="lost" if failed else "",
        )
        rows.append(Row(HERE, f"image {place}", 0, result))
    return TrialResult(known, tuple(rows))


@pytest.fixture
def made(plan):
    """Baseline, the declared contrast, the reference, and one of a search."""

    def make(base, contrast, searched=None, **lost):
        one = Trial("sampler.center=0.4", "search", plan.baseline.recipe, {"sampler.center": 0.4})
        trials = [
            trial(plan.baseline, base),
            trial(plan.declared[0], contrast, **lost),
            trial(plan.references[0], [value + 3 for value in base]),
        ]
        if searched:
            trials.append(trial(one, searched))
        return StudyResult(plan, tuple(trials))

    return make


BASE = [20.0, 25.0, 30.0]
WORSE = [19.0, 24.1, 28.9]
BETTER = [21.0, 25.9, 31.1]


def test_a_declared_contrast_keeps_its_word_both_ways(made):
    result = made(BASE, WORSE)
    base, contrast, _ = result.trials
    found = compare(result, contrast, base, HERE)
    gaps = np.array(WORSE) - np.array(BASE)
    half = t_critical(0.95, 3) * gaps.std(ddof=1) / math.sqrt(3)
    assert found.declared
    assert found.difference.mean == pytest.approx(gaps.mean())
    assert found.difference.half_width == pytest.approx(half)
    assert found.verdict == "worse"
    turned = compare(result, base, contrast, HERE)
    assert turned.verdict == "better"
    assert turned.difference.low == pytest.approx(-found.difference.high)
    assert turned.images["image 0"] == (20.0, 19.0)


def test_a_pair_that_was_not_declared_gets_an_interval_and_no_word(made):
    result = made(BASE, WORSE)
    _, contrast, reference = result.trials
    found = compare(result, reference, contrast, HERE)
    assert not found.declared
    assert found.verdict == ""
    told = " ".join(sentences(found, 0.05))
    assert "No verdict: the study did not declare this contrast" in told
    assert "igher on 3, lower on 0 of 3" in told
    assert "can give no less than 0.25" in told
    assert "PSNR is highest at the last step" in told
    assert "not estimable" in told
    assert "They do not change places" in told


def test_a_confirmed_contrast_is_told_with_margin_and_what_could_be_seen(made):
    result = replace(made(BASE, WORSE), confirmed=made(BASE, [19.5, 24.4, 29.6]))
    base, contrast, _ = result.trials
    told = sentences(compare(result, contrast, base, HERE), 0.05)
    assert "Declared by the study. Margin \u00b10.05 dB; 0." in told[2]
    assert told[2].endswith("dB would have been seen.")
    assert told[-2].startswith("Confirmed on other images: ")
    assert told[-2].endswith(": worse.")
    assert told[-1].startswith("Margin \u00b10.05 dB; 0.")


def test_what_a_search_chose_has_the_word_of_its_confirmation_alone(made):
    result = made(BASE, WORSE, searched=BETTER)
    best = result.trials[3]
    later = replace(best.trial, role="declared")
    plan = replace(result.plan, contrasts=(best.trial.name,))
    confirmed = StudyResult(plan, (result.trials[0], trial(later, BETTER)))
    told = sentences(
        compare(replace(result, confirmed=confirmed), best, result.trials[0], HERE), 0.05
    )
    assert "No verdict" not in " ".join(told)
    assert "so the word is its confirmation's alone" in told[2]
    assert ": better." in told[-2]


def test_one_image_has_no_other_to_choose_a_step_by(made):
    result = made([20.0], [19.0])
    falls = {"psnr": np.array([18.0, 19.5, 19.0])}
    (row,) = result.trials[1].rows
    early = replace(row, result=replace(row.result, curves=falls))
    contrast = replace(result.trials[1], rows=(early,))
    told = sentences(compare(result, contrast, result.trials[0], HERE), 0.05)
    assert (
        "0.2: PSNR peaks at step 2, 0.50 dB above the last; one image, so there is no other to "
        "choose that step by." in told
    )
    assert not any("peak of the other images" in text for text in told)


def test_trials_that_share_no_image_are_not_compared(made):
    result = made(BASE, WORSE, lost=(0, 1, 2))
    found = compare(result, result.trials[1], result.trials[0], HERE)
    assert found.difference is None
    assert sentences(found, 0.05) == [
        "No image has a result of both trials, so there is nothing to compare."
    ]


@pytest.mark.parametrize("given", ["0.2", "sampler.center=0.2", "SAMPLER.CENTER=0.2"])
def test_a_trial_is_found_as_tables_print_it(plan, given):
    names = ["baseline", "sampler.center=0.2", "diagonal"]
    assert meant(given, plan, names) == "sampler.center=0.2"
    assert meant("0.01", plan, names) == "baseline"
    assert meant("Baseline", plan, names) == "baseline"


def test_a_trial_is_found_by_its_first_words(plan):
    names = ["baseline", "sampler=three-by-three(center=0.01)", "sampler=diagonal"]
    keys = replace(plan.study.factors[0], key="sampler")
    plan = replace(plan, study=replace(plan.study, factors=(keys,)))
    assert meant("three-by-three", plan, names) == names[1]
    two = [*names, "sampler=three-by-three(center=0.2)"]
    with pytest.raises(StoreError, match="may be any of these trials"):
        meant("three-by-three", plan, two)
    with pytest.raises(StoreError, match=r"Did you mean 'three-by-three center=0\.01'\?"):
        meant("three-by-three center=0.1", plan, names)
    with pytest.raises(StoreError, match="has no finished trial"):
        meant("0.1", plan, ["baseline", "sampler.center=0.15"])  # part of a number is no beginning


def test_a_trial_that_is_not_there_is_suggested(plan):
    with pytest.raises(StoreError, match="Did you mean 'diagonal'"):
        meant("diagnal", plan, ["baseline", "diagonal"])


def test_a_name_that_two_trials_share_is_refused(plan):
    with pytest.raises(StoreError, match="Give the whole name"):
        meant("0.2", plan, ["x=0.2", "y=0.2"])


def test_the_baseline_stays_unless_a_trial_is_better_beyond_doubt(made):
    chosen = choose(made(BASE, WORSE, searched=[23.0, 28.0, 33.0]))
    assert (chosen.trial.name, chosen.support) == ("baseline", "baseline")
    assert chosen.highest == "sampler.center=0.4"
    assert any("the best of a search, so optimistic" in text for text in chosen.reasons)
    assert any("--trial 'sampler.center=0.4'" in text for text in chosen.reasons)


def test_a_declared_contrast_that_is_better_is_used(made):
    chosen = choose(made(BASE, BETTER))
    assert (chosen.trial.name, chosen.support) == ("sampler.center=0.2", "declared")
    assert "not tried again on other images" in chosen.reasons[0]


def test_confirmation_decides_where_there_is_one(made):
    shrunk = made(BASE, [20.5, 24.9, 30.0])
    unsure = choose(replace(made(BASE, BETTER), confirmed=shrunk))
    assert (unsure.trial.name, unsure.support) == ("baseline", "baseline")
    sure = choose(replace(made(BASE, BETTER), confirmed=made(BASE, BETTER)))
    assert (sure.trial.name, sure.support) == ("sampler.center=0.2", "confirmed")


def test_figures_are_those_of_the_stage_that_decides(made):
    easy = [value + 5 for value in BASE]
    later = made(easy, [value + 5 for value in BETTER])
    sure = choose(replace(made(BASE, BETTER), confirmed=later))
    assert sure.psnr == pytest.approx(np.mean(BETTER) + 5)
    assert sure.images == 3
    stays = choose(replace(made(BASE, BETTER), confirmed=made(easy, easy)))
    assert stays.psnr == pytest.approx(np.mean(BASE) + 5)


def test_the_highest_that_is_passed_over_has_the_word_and_interval_of_the_judge(made):
    # The plain interval of two contrasts excludes 0, the one that is read for the word does not.
    gains = [0.3, 0.4, 0.6]
    higher = [value + gain for value, gain in zip(BASE, gains, strict=True)]
    result = made(BASE, higher)
    names = ("sampler.center=0.2", "another")
    result = replace(result, plan=replace(result.plan, contrasts=names))
    (line,) = (item for item in result.lines(HERE) if item.name == names[0])
    chosen = choose(result)
    assert (chosen.trial.name, chosen.highest) == ("baseline", names[0])
    assert (
        f"it is not distinguishable from the baseline under {HERE} ({shown(line.difference)} dB)"
        in chosen.reasons[1]
    )
    assert f"({shown(line.difference)})" in summary(result.trials[1], result)
    small = [value + gain for value, gain in zip(BASE, (0.01, 0.012, 0.011), strict=True)]
    equal = choose(replace(made(BASE, higher), confirmed=made(BASE, small)))
    assert f"confirmed, it is equivalent to the baseline under {HERE} (+0.01" in equal.reasons[1]
    assert "the highest mean of the study's own trials" in equal.reasons[1]


def test_a_trial_that_lost_a_fit_of_the_confirmation_is_not_used(made):
    later = made([*BASE, 20.0], [*BETTER, 0.0], lost=(3,))
    base = later.trials[0]
    lost_too = TrialResult(base.trial, tuple(row for row in base.rows if row.image != "image 3"))
    later = replace(later, trials=(lost_too, *later.trials[1:]))
    assert choose(replace(made(BASE, BETTER), confirmed=later)).trial.name == "baseline"


def test_a_trial_that_lost_a_fit_is_not_used(made):
    chosen = choose(made(BASE, BETTER, lost=(1,)))
    assert chosen.trial.name == "baseline"


def test_nothing_but_failures_leaves_the_baseline_and_says_so(plan):
    lost = StudyResult(plan, (trial(plan.baseline, BASE, lost=(0, 1, 2)),))
    chosen = choose(lost)
    assert chosen.trial.name == "baseline"
    assert math.isnan(chosen.psnr)
    assert "lost all its fits, so nothing can be compared" in chosen.reasons[0]
    assert chosen.reasons[-1] == "No trial has all its results."


def test_a_recipe_can_be_put_into_a_study_file():
    recipe = Recipe(
        {
            "sampler": ComponentSpec(
                "schedule",
                {
                    "first": ComponentSpec("stripe", {"axis": 'r"o\\ws'}),
                    "steps": (1, 2),
                    "rate": 1e-05,
                },
            ),
            "loss": ComponentSpec("l1", {"fast": True}),
        }
    )
    read = tomllib.loads(toml(recipe))["baseline"]
    assert Recipe.from_json(read) == recipe


def call(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_best_and_denoise_agree_and_the_recipe_reads_back(tmp_path, tiny, registry):
    out = tmp_path / "out"
    call("study", tiny, "--tracking", "none", "--output", out, "--trials", 3, "--crop", 16, "-q")
    text = call("best", "tiny", "--output", out)
    recipe = Recipe.from_json(tomllib.loads(text)["baseline"])
    name, used = choose_recipe(registry, output=out, from_study="tiny")
    assert used == recipe
    data = json.loads(call("best", "tiny", "--output", out, "--json"))
    assert name == f"{data['trial']} of tiny (quick)"
    assert Recipe.from_json(data["recipe"]) == recipe
    assert f"--from-study tiny --output {out}" in data["command"]
    both = json.loads(call("compare", "tiny", "diagonal", "--output", out, "--json"))
    assert both[0]["second"] == "baseline"
    assert not both[0]["declared"]
    shown = call("compare", "tiny", "0.2", "0.01", "--output", out)
    assert "0.2 against baseline" in " ".join(shown.split())
    assert "Declared by the study" in shown
