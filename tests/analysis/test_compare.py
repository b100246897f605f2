"""One contrast in full, and which recipe to use: numbers by hand, sentences that claim no more."""

import io
import json
import math
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from n2n_ablate import study
from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.names import meant
from n2n_ablate.analysis.pairs import compare_trials
from n2n_ablate.analysis.records import Reason, Role, Verdict
from n2n_ablate.analysis.study_records import Support
from n2n_ablate.cli import app
from n2n_ablate.components.recipe import Recipe, toml
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.errors import StoreError
from n2n_ablate.records import FitResult, Header, ImageRef, Row, StudyTrials, TrialResult
from n2n_ablate.report.compare import comparison_document
from n2n_ablate.report.render.console import print_document
from n2n_ablate.report.text.best import best_reasons, override_line
from n2n_ablate.report.text.contrasts import contrast_line
from n2n_ablate.runner.denoising import choose_recipe
from n2n_ablate.stats import t_critical
from n2n_ablate.study import Trial

HERE = "sigma 25"
TWO = "sampler.center=0.2"
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
        return StudyTrials(plan, tuple(trials))

    return make


def header(result):
    """What the trials share, their confirmation included."""
    later = result.confirmed
    names = dict.fromkeys(row.image for item in result.trials for row in item.rows)
    marks = tuple(ImageRef(name, name, (3, 24, 24)) for name in names)
    own = Header(result.plan, marks, 3, "cpu", "fp32")
    return own.with_confirmed(header(later)) if later else own


BASE = [20.0, 25.0, 30.0]
WORSE = [19.0, 24.1, 28.9]
BETTER = [21.0, 25.9, 31.1]


def said(result, first, second):
    """What `compare` prints of two trials, in one line."""
    study = analyse(result, header(result))
    document = comparison_document("tiny", compare_trials(result, study, first, second, HERE))
    console = Console(file=io.StringIO(), width=200)
    print_document(console, document)
    return " ".join(console.file.getvalue().split())


def contrast(result, first, second):
    return compare_trials(result, analyse(result, header(result)), first, second, HERE).contrast


def test_a_declared_contrast_keeps_its_verdict_both_ways(made):
    result = made(BASE, WORSE)
    record = contrast(result, TWO, "baseline")
    gaps = np.array(WORSE) - np.array(BASE)
    half = t_critical(0.95, 3) * gaps.std(ddof=1) / math.sqrt(3)
    assert record.role is Role.PRIMARY
    assert record.estimate == pytest.approx(gaps.mean())
    assert record.difference_interval.half_width == pytest.approx(half)
    assert record.verdict is Verdict.WORSE
    assert record.p_sign_flip_smallest == 0.25
    turned = contrast(result, "baseline", TWO)
    assert turned.verdict is Verdict.BETTER
    assert turned.difference_interval.low == pytest.approx(-record.difference_interval.high)
    assert (turned.images[0].trial, turned.images[0].baseline) == (20.0, 19.0)
    text = said(result, TWO, "baseline")
    assert "center = 0.2 vs 0.01: worse by 1.00 dB (95 % CI \u22121.25 to \u22120.75)" in text
    assert "Declared by the study before it ran." in text


def test_a_pair_that_was_not_declared_gets_an_interval_and_no_verdict(made):
    result = made(BASE, WORSE)
    record = contrast(result, "diagonal", TWO)
    assert (record.role, record.verdict) == (Role.EXPLORATORY, None)
    assert (record.wins.wins, record.wins.losses, record.wins.n) == (3, 0, 3)
    text = said(result, "diagonal", TWO)
    assert "No verdict: the study did not declare this contrast" in text
    assert "PSNR is highest at the last step on every image" in text
    assert "The curves do not cross." in text
    assert "Seeds make up" not in text  # one seed: left out


def test_a_confirmed_contrast_is_said_of_both_stages(made):
    result = replace(made(BASE, WORSE), confirmed=made(BASE, [19.5, 24.4, 29.6]))
    text = said(result, TWO, "baseline")
    own, held_out = text.split("On held-out images")
    assert "center = 0.2 vs 0.01: worse by 1.00 dB" in own
    assert "center = 0.2 vs 0.01: worse by 0.50 dB" in held_out


def test_what_a_search_chose_has_the_verdict_of_its_confirmation_alone(made):
    result = made(BASE, WORSE, searched=BETTER)
    best = result.trials[3]
    later = replace(best.trial, role="declared")
    plan = replace(result.plan, contrasts=(best.trial.name,), declared=(later,))
    confirmed = StudyTrials(plan, (result.trials[0], trial(later, BETTER)))
    own, held_out = said(replace(result, confirmed=confirmed), best.trial.name, "baseline").split(
        "On held-out images"
    )
    assert "the search selected this trial for its result on these images" in own
    assert ": better by 1.00 dB" not in own
    assert "center = 0.4 vs 0.01: better by 1.00 dB" in held_out


def test_one_image_has_no_other_to_choose_a_step_by(made):
    result = made([20.0], [19.0])
    falls = {"psnr": np.array([18.0, 19.5, 19.0])}
    (row,) = result.trials[1].rows
    early = replace(row, result=replace(row.result, curves=falls))
    changed = replace(result, trials=(result.trials[0], replace(result.trials[1], rows=(early,))))
    text = said(changed, TWO, "baseline")
    assert (
        "center = 0.2: PSNR peaks at step 2, 0.50 dB above its final value (one image, so the peak could "
        "not be chosen on others)." in text
    )
    assert "peak of the others" not in text


def test_trials_that_share_no_image_are_not_compared(made):
    result = made(BASE, WORSE, lost=(0, 1, 2))
    record = contrast(result, TWO, "baseline")
    assert (record.estimate, record.reason) == (None, Reason.TRIAL_FAILED)
    assert "no result: the trial failed on every image" in said(result, TWO, "baseline")


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


def best(result):
    return analyse(result, header(result)).best


def reasons(result):
    return " ".join(best_reasons(analyse(result, header(result))))


def test_the_baseline_stays_unless_a_trial_is_better(made):
    result = made(BASE, WORSE, searched=[23.0, 28.0, 33.0])
    chosen = best(result)
    assert (chosen.name, chosen.support) == ("baseline", Support.NOTHING_BETTER)
    assert chosen.highest == "sampler.center=0.4"
    assert "which alone is no evidence that it is better" in reasons(result)
    assert "--trial 'sampler.center=0.4'" in override_line(chosen, "tiny")


def test_a_declared_contrast_that_is_better_is_used(made):
    chosen = best(made(BASE, BETTER))
    assert (chosen.name, chosen.support) == (TWO, Support.DECLARED)
    assert "not confirmed on held-out images" in reasons(made(BASE, BETTER))


def test_confirmation_decides_where_there_is_one(made):
    unsure = best(replace(made(BASE, BETTER), confirmed=made(BASE, [20.5, 24.9, 30.0])))
    assert (unsure.name, unsure.support) == ("baseline", Support.NOTHING_BETTER)
    sure = best(replace(made(BASE, BETTER), confirmed=made(BASE, BETTER)))
    assert (sure.name, sure.support) == (TWO, Support.CONFIRMED)


def test_figures_are_those_of_the_stage_that_decides(made):
    easy = [value + 5 for value in BASE]
    later = made(easy, [value + 5 for value in BETTER])
    sure = best(replace(made(BASE, BETTER), confirmed=later))
    assert sure.mean == pytest.approx(np.mean(BETTER) + 5)
    assert sure.n_images == 3
    stays = best(replace(made(BASE, BETTER), confirmed=made(easy, easy)))
    assert stays.mean == pytest.approx(np.mean(BASE) + 5)


def test_the_highest_that_is_passed_over_has_the_verdict_and_interval_of_the_judge(made):
    # The plain interval of two contrasts excludes 0, the one that gives the verdict does not.
    gains = [0.3, 0.4, 0.6]
    higher = [value + gain for value, gain in zip(BASE, gains, strict=True)]
    result = made(BASE, higher)
    another = replace(result.plan.declared[0], name="another")
    plan = replace(
        result.plan, contrasts=(TWO, "another"), declared=(*result.plan.declared, another)
    )
    result = replace(result, plan=plan)
    chosen = best(result)
    assert (chosen.name, chosen.highest) == ("baseline", TWO)
    record = chosen.highest_contrasts[HERE]
    assert (record.verdict, record.difference_interval.level) == (Verdict.INCONCLUSIVE, 0.975)
    assert f"{contrast_line(record)}." in reasons(result)
    small = [value + gain for value, gain in zip(BASE, (0.01, 0.012, 0.011), strict=True)]
    equal = best(replace(made(BASE, higher), confirmed=made(BASE, small)))
    assert equal.highest_contrasts[HERE].verdict is Verdict.EQUIVALENT


def test_a_trial_that_lost_a_fit_of_the_confirmation_is_not_used(made):
    later = made([*BASE, 20.0], [*BETTER, 0.0], lost=(3,))
    assert best(replace(made(BASE, BETTER), confirmed=later)).name == "baseline"


def test_a_trial_that_lost_a_fit_is_not_used(made):
    assert best(made(BASE, BETTER, lost=(1,))).name == "baseline"


def test_nothing_but_failures_leaves_the_baseline_and_says_so(plan):
    lost = StudyTrials(plan, (trial(plan.baseline, BASE, lost=(0, 1, 2)),))
    chosen = best(lost)
    assert (chosen.name, chosen.mean, chosen.support) == ("baseline", None, Support.BASELINE_FAILED)
    assert "no result to compare with" in reasons(lost)


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
    assert name == f"{data['name']} of tiny (quick)"
    assert Recipe.from_json(data["recipe"]) == recipe
    assert f"--from-study tiny --output {out}" in data["command"]
    both = json.loads(call("compare", "tiny", "diagonal", "--output", out, "--json"))
    assert both[0]["contrast"]["contrast"]["baseline"] == "baseline"
    assert both[0]["contrast"]["role"] == "exploratory"
    shown = call("compare", "tiny", "0.2", "0.01", "--output", out)
    assert "center = 0.2 vs 0.01: " in " ".join(shown.split())
    assert "Declared by the study" in shown
