"""A fit is trained once, whichever study asks for it first."""

import json

import pytest
import torch
from helpers.program import here

from n2n_ablate.images import write
from n2n_ablate.runner.session import Request, open_session

SHARED = """
design = "one-at-a-time"

[[conditions]]
noise = { name = "gaussian", sigma = 25.0 }
label = "sigma 25"

[profiles.quick]
images = ["photos"]
crop = 20
set = { "training.steps" = 4 }

[baseline]
backbone = { name = "zs-n2n", width = 8 }
loss = "residual-consistency"
training = "adam"
"""
WEIGHTS = f"""
name = "weights"
question = "Which centre?"
{SHARED}
sampler = {{ name = "three-by-three", center = 0.01 }}

[factors]
"sampler.center" = [0.2]

[references]
diagonal = {{ sampler = "diagonal" }}
"""
PAIRS = f"""
name = "pairs"
question = "Which sampler?"
{SHARED}
sampler = "diagonal"

[factors]
sampler = [
    {{ name = "stripe", axis = "rows" }},
    {{ name = "three-by-three", center = 0.01 }},
]
"""


@pytest.fixture
def home(tmp_path):
    """A folder with two studies that share two of their three recipes, and two images."""
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate(("one", "two")):
        pixels = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(seed))
        write(tmp_path / "photos" / f"{name}.png", pixels)
    (tmp_path / "weights.toml").write_text(WEIGHTS)
    (tmp_path / "pairs.toml").write_text(PAIRS)
    return tmp_path


def stored(home):
    files = (home / "mlruns" / "fits").rglob("*.safetensors")
    return {file.name: file.stat().st_ino for file in files}


def study(name, *words, home):
    done = here("study", f"{name}.toml", "--tracking", "none", *words, folder=home)
    assert done.returncode == 0, done.stderr
    return done


def figures(told):
    """Return the PSNR of every trial by its recipe, whatever the study calls it."""
    data = json.loads(told)
    rows = {row["name"]: row["means"]["psnr"] for row in data["conditions"][0]["trials"]}
    return {json.dumps(recipe): rows[name] for name, recipe in data["recipes"].items()}


def test_a_recipe_that_another_study_has_trained_is_reused_and_shown_so(home):
    first = study("weights", "--json", home=home)
    before = stored(home)
    assert len(before) == 6
    planned = here("plan", "pairs.toml", folder=home)
    assert "3 trials, 6 fits (4 cached):" in planned.stdout
    second = study("pairs", home=home)
    assert "4 of 6 fits were cached." in second.stdout
    lines = [line for line in second.stderr.splitlines() if " dB" in line]
    assert ["  cached" in line for line in lines] == ["rows" not in line for line in lines], (
        second.stderr
    )
    assert len(lines) == 3
    after = stored(home)
    assert len(after) == 8
    assert before.items() <= after.items()  # the very files: nothing was written over
    again = study("pairs", "--json", home=home)
    mine, theirs = figures(first.stdout), figures(again.stdout)
    shared = mine.keys() & theirs.keys()
    assert len(shared) == 2
    assert all(mine[recipe] == theirs[recipe] for recipe in shared)


def test_a_shared_recipe_is_trained_again_when_anything_of_it_differs(home):
    study("weights", home=home)
    for words in (["--set", "training.steps=5"], ["--crop", "16"]):
        done = study("pairs", "--json", *words, home=home)
        assert json.loads(done.stdout)["fits"]["cached"] == 0, words


def test_the_shipped_studies_share_what_they_have_in_common():
    keys = {}
    for name in ("center-weight", "samplers"):
        session = open_session(Request(study=name, profile="quick", device="cpu"))
        keys[name] = {
            trial.recipe.specs["sampler"].name: {
                sample.image.name: fit.key
                for sample, fit in zip(
                    session.paired_data.samples,
                    session.paired_data.fits(trial.recipe),
                    strict=True,
                )
            }
            for trial in session.plan.fixed
            if trial.role in ("baseline", "reference") or "0.01" in trial.name
        }
    for sampler in ("three-by-three", "diagonal"):
        searched, compared = keys["center-weight"][sampler], keys["samplers"][sampler]
        assert len(searched) == 3
        shared = searched.keys() & compared.keys()
        assert shared == {"astronaut", "coffee"}  # of `cell` 96 pixels show too little to compare
        assert all(searched[image] == compared[image] for image in shared), sampler
