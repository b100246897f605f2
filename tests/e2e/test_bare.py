"""From a checkout on a bare machine: Python, torch and a handful of small packages, nothing installed.

The packages are links to those that the tests run with: no second torch is installed. Python is
started without its site-packages, so that nothing else can be found, no entry point either.
"""

import json
import os
import re
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from helpers import program
from helpers.thinning import thinned

from n2n_ablate.runner.session import Request, open_session

ROOT = Path(__file__).resolve().parents[2]
MINIMUM = ("torch", "numpy", "scipy", "safetensors", "filelock", "pluggy", "typer", "rich")
MINIMUM += ("pydantic",)
"""What docs/how-to/bare-gpu.md says is enough for a study of one's own images, but for `pillow`."""
WITHOUT_TYPER = tuple(name for name in MINIMUM if name not in ("typer", "rich"))
FILES, PICTURES = ("pillow",), ("scikit-image",)


def link(folder, names):
    """Make a folder in which only these packages and what they need can be found."""
    folder.mkdir(parents=True)
    todo, seen = list(names), set()
    while todo:
        name = re.match(r"[\w.-]+", todo.pop())[0].lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except ModuleNotFoundError:  # for another platform
            continue
        todo += [need for need in found.requires or [] if "extra ==" not in need]
        tops = {
            file.parts[0] for file in found.files if not file.parts[0].startswith(("..", "__py"))
        }
        for top in tops:
            if not top.endswith(".dist-info") and not (folder / top).exists():
                (folder / top).symlink_to(found.locate_file(top))
    return folder


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Return what runs the program with only these packages, from a checkout."""
    base = tmp_path_factory.mktemp("machine")
    checkout = base / "n2n-ablate"
    checkout.mkdir()
    for name in ("n2n_ablate", "plugins", "studies"):
        (checkout / name).symlink_to(ROOT / name)
    places = {}

    def start(*words):
        return [sys.executable, "-S", "-m", "n2n_ablate", *map(str, words)]

    def run(*words, packages=(*MINIMUM, *FILES, *PICTURES), folder=checkout, **env):
        if packages not in places:
            places[packages] = link(base / f"packages-{len(places)}", packages)
        path = [str(places[packages]), str(checkout)]
        bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path), "HOME": str(base)}
        env = {"COLUMNS": "200"} | env
        return program.run(*words, folder=folder, start=start, environment=bare, **env)

    run.checkout = checkout
    return run


QUICK = ("--set", "training.steps=3", "--crop", "16", "--device", "cpu", "--tracking", "none")


def test_a_bare_machine_plans_and_runs_studies_and_its_fits_are_those_of_an_installation(machine):
    asked = (*QUICK[:-2], "--images", "builtin:coffee", "--precision", "fp32", "--json")
    plan = json.loads(machine("plan", "samplers", *asked).stdout)
    done = machine("study", "samplers", *asked, "--tracking", "none")
    assert done.returncode == 0, done.stderr
    rows = {row["name"] for row in json.loads(done.stdout)["conditions"][0]["trials"]}
    assert rows == {trial["name"] for trial in plan["trials"]} | {
        *("noisy", "nl-means", "dct", "dct, known level")
    }
    here = open_session(
        Request(
            "samplers",
            settings=[QUICK[1]],
            crop=16,
            images=["builtin:coffee"],
            device="cpu",
            precision="fp32",
        )
    )
    wanted = {fit.key for trial in here.plan.fixed for fit in here.paired_data.fits(trial.recipe)}
    stored = {path.stem for path in (machine.checkout / "mlruns" / "fits").glob("*/*")}
    assert stored == wanted


@pytest.mark.parametrize(
    "inside", thinned(False, rare=[True]), ids=["elsewhere", "in the checkout"]
)
def test_plugins_and_studies_of_a_checkout_are_found_from_any_folder_and_once(
    machine, tmp_path, inside
):
    folder = machine.checkout if inside else tmp_path
    listed = json.loads(machine("plugins", "--json", folder=folder).stdout)
    names = [(item["kind"], item["name"]) for item in listed["components"]]
    assert ("sampler", "diagonal") in names
    assert len(names) == len(set(names))
    assert not listed["broken"]
    assert not listed["contested"]
    assert "center-weight" in machine("studies", folder=folder).stdout


@pytest.mark.slow  # two studies in processes of their own
def test_own_images_need_no_scikit_image_and_the_missing_row_is_said(machine, photo, tmp_path):
    photo(tmp_path / "own.png")
    few = (*MINIMUM, *FILES)
    done = machine(
        "study", "samplers", *QUICK, "--images", "own.png", packages=few, folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "no row for nl-means: scikit-image is not installed" in done.stderr
    assert "noisy" in done.stdout
    assert "nl-means" not in done.stdout
    done = machine(
        *("denoise", "own.png", "-o", "clean.png", "--set", "training.steps=3", "--device", "cpu"),
        *("--from-study", "samplers"),
        packages=few,
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clean.png").is_file()


@pytest.mark.parametrize(
    ("words", "packages", "line"),
    [
        (
            ("study", "center-weight", *QUICK),
            (*MINIMUM, *FILES, *PICTURES),
            "Optuna: pip install optuna. Without it, --trials 5 runs the 5 trials that are declared",
        ),
        (
            ("study", "samplers", *QUICK[:-2]),
            (*MINIMUM, *FILES, *PICTURES),
            "error: MLflow is not installed. Use --tracking none here and n2n-ablate sync",
        ),
        (
            ("study", "samplers", *QUICK),
            (*MINIMUM, *FILES),
            "error: the built-in images come with scikit-image, which is not installed.",
        ),
        (("ui",), (*MINIMUM, *FILES), "error: MLflow, which makes these pages, is not installed"),
        (
            ("denoise", "own.png", "-o", "clean.png"),
            MINIMUM,
            "error: the package 'pillow' is not installed: pip install pillow",
        ),
        (("studies",), WITHOUT_TYPER, "error: the package 'typer' is not installed"),
    ],
    ids=lambda item: " ".join(item)[:30] if isinstance(item, tuple) else "",
)
def test_what_is_missing_is_one_line(machine, words, packages, line, photo):
    photo(machine.checkout / "own.png")
    done = machine(*words, packages=packages)
    assert done.returncode == 1
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
