"""Diagnostics of a study's trials: on its own images and noise, once, and on the command line."""

import json
import sys
from dataclasses import replace

import pytest
import torch

from n2n_ablate import engine, hookimpl, study
from n2n_ablate.analysis.condition import finals, ranked_by_loss
from n2n_ablate.analysis.diagnoses import Diagnoses, points, probes_of
from n2n_ablate.cli import main
from n2n_ablate.components.recipe import ComponentSpec
from n2n_ablate.diagnostics.relation import relations
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import PluginError
from n2n_ablate.records import Row, StudyTrials, TrialResult
from n2n_ablate.registry import Registry


class Broken:
    """Fails when it is to draw."""

    def draw(self, image, rng):
        raise RuntimeError("no luck")


class Plugin:
    @hookimpl
    def register_samplers(self, register):
        register("broken", Broken)


@pytest.fixture
def bench(tiny, registry):
    plan = study.plan(study.read(tiny), registry, profile="other")
    return PairedData(plan, registry, engine.machine("cpu", "fp32"))


def test_a_trial_is_measured_on_the_images_and_noise_of_its_study(bench, registry):
    (probe,) = probes_of(bench.samples)  # one image with two seeds
    assert probe.name == "astronaut"
    assert torch.equal(probe.clean, bench.images[0].pixels)
    assert all(map(torch.equal, probe.noisy, (item.noisy for item in bench.samples)))
    found = Diagnoses(registry).of(bench.plan.baseline.recipe, bench.samples)
    assert list(found) == ["sigma 25"]
    assert list(found["sigma 25"].images) == ["astronaut"]


def test_each_sampler_is_measured_once(bench, registry):
    measured = Diagnoses(registry)
    recipe = bench.plan.baseline.recipe
    first = measured.of(recipe, bench.samples)["sigma 25"]
    longer = recipe.replace("training.steps", 999).resolved(registry)
    assert measured.of(longer, bench.samples)["sigma 25"] is first
    other = recipe.replace("sampler.center", 0.3).resolved(registry)
    assert measured.of(other, bench.samples)["sigma 25"] is not first
    assert Diagnoses(registry).of(recipe, bench.samples)["sigma 25"] == first  # from disk, say


def test_a_sampler_that_fails_is_named(bench):
    own = Registry(Plugin())
    recipe = bench.plan.baseline.recipe.replace("sampler", ComponentSpec("broken"))
    with pytest.raises(PluginError, match=r"sampler 'broken' cannot be measured .*no luck"):
        Diagnoses(own).of(recipe, bench.samples)


def test_points_join_results_and_diagnoses(tiny, registry):
    plan = study.plan(study.read(tiny), registry)
    bench = PairedData(plan, registry, engine.machine("cpu", "fp32"))
    levels = {"three": plan.baseline.recipe}
    for name, sampler in {
        "diagonal": ComponentSpec("diagonal"),
        "edge": ComponentSpec("edge-weighted"),
    }.items():
        levels[name] = plan.baseline.recipe.replace("sampler", sampler).resolved(registry)
    psnr = {"three": 29.0, "diagonal": 30.0, "edge": 26.0}
    results, diagnoses = [], {}
    for name, recipe in levels.items():
        (one,) = (
            engine.fit_all([bench.fits(plan.baseline.recipe)[0]], bench.machine)
            if not results
            else (results[0].rows[0].result,)
        )
        rows = tuple(
            Row(
                item.condition.label,
                item.image.name,
                item.seed,
                replace(one, figures={"psnr": psnr[name], "loss": 0.1 / psnr[name]}),
            )
            for item in bench.samples
        )
        results.append(TrialResult(replace(plan.baseline, name=name, recipe=recipe), rows))
        diagnoses[name] = Diagnoses(registry).of(recipe, bench.samples)
    result = StudyTrials(plan, tuple(results))
    found = points(result, diagnoses, "sigma 25")
    assert len(found) == 6
    by_trial = {item.trial: item for item in found if item.image == "coffee"}
    assert by_trial["diagonal"].leak == by_trial["three"].leak == 0
    assert by_trial["edge"].leak == pytest.approx(0.385, abs=0.05)
    assert relations(found)[0].rank.value == pytest.approx(-0.866, abs=0.001)  # two ties at 0
    assert ranked_by_loss(finals(result, "sigma 25")).tau == pytest.approx(1)


# The command


def told(monkeypatch, capsys, *words):
    """Run the command in this process; return its exit status and what it printed."""
    monkeypatch.setattr(sys, "argv", ["n2n-ablate", "diagnose", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return ended.value.code or 0, printed.out, printed.err


QUICK = ("--images", "builtin:coffee", "--crop", "48")


def test_all_samplers_fit_into_80_columns(folder, monkeypatch, capsys):
    code, out, err = told(monkeypatch, capsys, *QUICK)
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    # One parts photons, the other needs a second shot, and the noise here is Gaussian.
    left_out = {"poisson-thinning", "two-shots"}
    assert rows.keys() >= set(Registry().names("sampler")) - left_out
    errors = " ".join(err.split())
    assert errors.count("left out: ") == len(left_out)
    assert "left out: sampler 'poisson-thinning' needs unclipped Poisson noise" in errors
    assert "sampler 'two-shots' needs measured noise with at least two shots per scene" in errors
    assert all(len(line.rstrip()) <= 80 for line in out.splitlines())
    assert all(number.startswith("+0.3") for number in rows["edge-weighted"].split()[1:3])
    assert rows["max-avg-pool"].rstrip().endswith("leak bias")
    assert "leak" not in rows["diagonal"]
    assert "Noise2Noise requires views with independent noise" in " ".join(out.split())


def test_parts_and_settings(folder, monkeypatch, capsys):
    words = ("diagonal", "three-by-three(center=0.5)", "--set", "sampler.corner=0.25", *QUICK)
    noise = ("--noise", "gaussian(sigma=10)", "--set", "noise.clip=false")
    code, out, _ = told(monkeypatch, capsys, *words, *noise, "--json")
    assert code == 0
    (found,) = json.loads(out)
    assert found["condition"] == "gaussian(sigma=10.0, clip=False), coffee"
    assert list(found["samplers"]) == ["diagonal", "three-by-three(center=0.5, corner=0.25)"]
    own = found["samplers"]["three-by-three(center=0.5, corner=0.25)"]
    assert own["concerns"] == ["leak"]
    assert own["leak"] == pytest.approx(0.5 / 2.5 * 0.5 / 1.5 / 0.2, abs=0.02)
    assert own["sigma"] == pytest.approx(10, rel=0.02)
    assert own["images"].keys() == {"coffee"}


def test_the_trials_of_a_study(tiny, monkeypatch, capsys):
    code, out, err = told(monkeypatch, capsys, "--study", tiny, "--set", "sampler.center=0.5")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines() if line.strip()]
    at = names.index("0.01")
    assert names[at : at + 4] == ["0.01", "0.5", "0.2", "diagonal"]
    assert "0.01 (baseline)" in out
    assert "would be chosen by the search" not in err  # four trials are all declared


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["diagnal"], "Did you mean 'diagonal'?"),
        (["diagonal("], "must look like name or 'name(parameter=value"),
        (["three-by-three(center)"], "must look like name or 'name(parameter=value"),
        (["diagonal(center=1)"], "sampler 'diagonal' has no parameter 'center'"),
        (["three-by-three", "--set", "sampler.center=9"], "must be in the range 0 to 0.5"),
        (["diagonal", "--set", "sampler.center=0.1"], "no sampler here has a parameter 'center'"),
        (["--set", "loss.symmetric=false"], "only sampler.PARAMETER and noise.PARAMETER"),
        (["--set", "sampler=diagonal"], "only sampler.PARAMETER and noise.PARAMETER"),
        (["--noise", "gausian"], "Did you mean 'gaussian'?"),
        (["--images", "nowhere"], "'nowhere' does not exist"),
        (["--crop", "-1"], "--crop must be from 0 to 100000, got -1"),
        (["diagonal", "--crop", "1"], "at least 2x2 pixels, got 1x1"),
        (["--study", "samplrs"], "Did you mean 'samplers'?"),
        (["diagonal", "--study", "samplers"], "brings its own samplers"),
        (["--noise", "gaussian", "--study", "samplers"], "brings its own samplers"),
        (["--profile", "quick"], "--profile needs --study"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line(folder, monkeypatch, capsys, words, message):
    code, out, err = told(monkeypatch, capsys, *words)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert message in err
