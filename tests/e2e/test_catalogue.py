"""Every component in the box trains in a study, beside the others of its kind."""

import json
import math

import pytest
import torch
from helpers.program import here

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.images import builtin, write
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.output import Output

BASE = {
    "sampler": '"diagonal"',
    "backbone": '{ name = "zs-n2n", width = 8 }',
    "loss": '"residual-consistency"',
    "training": '"adam"',
}
NOISE = '{ name = "gaussian", sigma = 25.0, clip = false }'
PHOTONS = '{ name = "poisson", lam = 60.0, clip = false }'
PHOTONS_ONLY = ("poisson-thinning",)
SHOTS_ONLY = ("two-shots",)
# What hides pixels and what looks at hidden ones only work together.
PARTNERS = {
    "bernoulli-mask": '{ loss = "masked" }',
    "noise2void": '{ loss = "masked" }',
    "noise2self": '{ loss = "masked" }',
    "masked": '{ sampler = "noise2self" }',
    "masked-ensemble": '{ sampler = "noise2self", loss = "masked" }',
}

STEPS = {
    "sampler": 36,  # twelve of the note's schedule before it switches: each of its samplers has one
    "estimator": 130,  # a window of windowed-variance spans 100
}


def study(kind, levels, noises, metrics=(), steps=3):
    """A study with a trial per level; `noises` and `metrics` stand in every one of them."""
    lines = [
        'name = "catalogue"',
        'question = "Does it train?"',
        'design = "one-at-a-time"',
        f"metrics = {json.dumps(list(metrics))}",
        "[baseline]",
        *(f"{own} = {part}" for own, part in BASE.items()),
        *(f'[[conditions]]\nnoise = {noise}\nlabel = "{n}"' for n, noise in enumerate(noises)),
        f"[factors]\n{kind} = [{', '.join(levels)}]",
        '[profiles.quick]\nimages = ["builtin:coffee"]\ncrop = 32',
        f'set = {{ "training.steps" = {steps} }}',
    ]
    return "\n".join(lines)


def told(folder, text):
    """Run a study; return its trials by condition. Each is trained, without a failure."""
    (folder / "catalogue.toml").write_text(text)
    done = here("study", "catalogue.toml", "--tracking", "none", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    conditions = [
        [row for row in condition["trials"] if row["role"] != "untrained"]
        for condition in json.loads(done.stdout)["conditions"]
    ]
    for row in (row for rows in conditions for row in rows):
        assert row["n_failed"] == 0, row
        assert math.isfinite(row["means"]["psnr"]), row
    return conditions


def names_of(rows, kind):
    """The levels of a factor that were trained, the baseline's included."""
    return {row["parameters"][kind] for row in rows}


@pytest.mark.parametrize("kind", [*RECIPE_KINDS])
def test_every_part_of_a_recipe_trains(registry, tmp_path, kind):
    names = [name for name in registry.names(kind) if name not in PHOTONS_ONLY + SHOTS_ONLY]
    levels = [f'{{ name = "{name}", with = {PARTNERS.get(name, "{}")} }}' for name in names]
    (rows,) = told(tmp_path, study(kind, levels, [NOISE], steps=STEPS.get(kind, 3)))
    assert names_of(rows, kind) >= set(names)


def test_early_stopping_records_the_step_that_it_chose(tmp_path):
    text = study("estimator", ['"windowed-variance"'], [NOISE], steps=STEPS["estimator"])
    told(tmp_path, text)
    store = FitStore(Output(tmp_path / "mlruns"))
    fits = [store.load(path.stem) for path in (tmp_path / "mlruns" / "fits").glob("*/*")]
    chosen = [fit.figures["chosen_step"] for fit in fits if "chosen_step" in fit.figures]
    assert len(fits) == 2
    assert len(chosen) == 1
    assert 100 <= chosen[0] <= STEPS["estimator"]


def test_a_sampler_of_photons_trains_on_photons(tmp_path):
    (rows,) = told(tmp_path, study("sampler", [f'"{PHOTONS_ONLY[0]}"'], [PHOTONS]))
    assert names_of(rows, "sampler") == {"diagonal", *PHOTONS_ONLY}


def test_a_sampler_of_shots_trains_on_shots(tmp_path):
    (coffee,) = builtin(["coffee"])
    clean = coffee.pixels[..., 100:132, 100:132]
    (tmp_path / "pairs").mkdir()
    write(tmp_path / "pairs" / "1_mean.png", clean)
    for shot in (1, 2):
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(shot))
        write(tmp_path / "pairs" / f"1_real_{shot}.png", (clean + 0.1 * noise).clamp(0, 1))
    text = study("sampler", [f'"{SHOTS_ONLY[0]}"'], [NOISE])
    text = text.replace(f"noise = {NOISE}", 'pairs = "pairs"')
    (rows,) = told(tmp_path, text.replace('images = ["builtin:coffee"]\n', ""))
    assert names_of(rows, "sampler") == {"diagonal", *SHOTS_ONLY}


def test_every_noise_and_every_metric_stands_in_a_table(registry, tmp_path):
    names = registry.names("noise")
    noises = [f'"{name}"' for name in names]
    metrics = [
        entry.name
        for entry in registry
        if entry.kind == "metric"
        and entry.name != "psnr"
        and getattr(entry.factory, "smallest", 1) <= 32
    ]
    found = told(tmp_path, study("sampler", ['"stripe"'], noises, metrics))
    assert len(found) == len(names)
    for rows in found:
        assert names_of(rows, "sampler") == {"diagonal", "stripe"}
        for row in rows:
            assert all(math.isfinite(row["means"][name]) for name in metrics), row
