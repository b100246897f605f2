"""Every component in the box trains in a study, beside the others of its kind."""

import json
import math

import pytest
from program import here

from n2n_ablate.recipe import RECIPE_KINDS

BASE = {
    "sampler": '"diagonal"',
    "backbone": '{ name = "zs-n2n", width = 8 }',
    "loss": '"residual-consistency"',
    "training": '"adam"',
}
NOISE = '{ name = "gaussian", sigma = 25.0, clip = false }'
PHOTONS = '{ name = "poisson", lam = 60.0, clip = false }'
PHOTONS_ONLY = ("poisson-thinning",)


def study(kind, levels, noises, metrics=()):
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
        'set = { "training.steps" = 3 }',
    ]
    return "\n".join(lines)


def told(folder, text):
    (folder / "catalogue.toml").write_text(text)
    done = here("study", "catalogue.toml", "--tracking", "none", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["conditions"]


@pytest.mark.parametrize("kind", [*RECIPE_KINDS])
def test_every_part_of_a_recipe_trains(registry, tmp_path, kind):
    names = [name for name in registry.names(kind) if name not in PHOTONS_ONLY]
    (condition,) = told(tmp_path, study(kind, [f'"{name}"' for name in names], [NOISE]))
    finals = [row["psnr"] for row in condition["trials"] if row["role"] in ("baseline", "declared")]
    assert len(finals) >= len(names)
    assert all(math.isfinite(value) for value in finals)


def test_a_sampler_of_photons_trains_on_photons(tmp_path):
    (condition,) = told(tmp_path, study("sampler", [f'"{PHOTONS_ONLY[0]}"'], [PHOTONS]))
    assert any(PHOTONS_ONLY[0] in row["name"] for row in condition["trials"])


def test_every_noise_and_every_metric_stands_in_a_table(registry, tmp_path):
    names = registry.names("noise")
    noises = [f'"{name}"' for name in names]
    metrics = [name for name in registry.names("metric") if name != "psnr"]
    found = told(tmp_path, study("sampler", ['"stripe"'], noises, metrics))
    assert len(found) == len(names)
    for condition in found:
        for row in condition["trials"]:
            if row["role"] != "yardstick":
                assert all(row[name] is None or math.isfinite(row[name]) for name in metrics)
                assert row["psnr"] > 0
