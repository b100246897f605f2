"""Packages of other people beside ours, all from wheels: built, installed, used, removed.

The environment has the program from its own wheel, not from this checkout, and what it depends on
from the environment of the tests.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.program import run

ROOT = Path(__file__).resolve().parents[2]
HEXAGON = ROOT / "examples" / "n2n-ablate-hexagon"
OURS = ("n2n_ablate", "__editable__")
QUICK = ("--crop", "32", "--set", "training.steps=5", "--tracking", "none", "--quiet")
QUIET = ("-q", "--disable-pip-version-check")


def shell(*words, folder):
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def wheels(folder, *sources):
    """Build the wheel of each source folder, with what is installed here."""
    build = ("wheel", *QUIET, "--no-build-isolation", "--no-deps", "--no-index", "-w", folder)
    shell(sys.executable, "-m", "pip", *build, *sources, folder=folder)
    return sorted(folder.glob("*.whl"))


class Environment:
    """A fresh environment with everything that the tests' own has, but for this project."""

    def __init__(self, base):
        self.python = base / "venv" / "bin" / "python"
        shell(sys.executable, "-m", "venv", "--without-pip", base / "venv", folder=base)
        others = base / "others"
        others.mkdir()
        # Those that `.pth` files add, too: an environment may lie on top of another.
        folders = [Path(path) for path in sys.path if path.endswith("-packages")]
        for path in reversed(folders):
            for item in path.iterdir() if path.is_dir() else ():
                if not item.name.startswith(OURS) and item.suffix != ".pth":
                    (others / item.name).unlink(missing_ok=True)
                    (others / item.name).symlink_to(item)
        purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.site = Path(shell(self.python, "-c", purelib, folder=base))
        (self.site / "others.pth").write_text(f"{others}\n")

    def pip(self, *words, folder):
        pip = (sys.executable, "-m", "pip", "--python", self.python)
        shell(*pip, words[0], *QUIET, *words[1:], folder=folder)

    def program(self, *words, folder):
        script = self.python.with_name("n2n-ablate")
        return run(*words, folder=folder, start=lambda *own: [str(script), *map(str, own)])


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Return a fresh environment with our own wheel, and nothing else of this project."""
    base = tmp_path_factory.mktemp("clean")
    source = base / "source"
    for name in ("n2n_ablate", "plugins", "studies"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (base / "wheels").mkdir()
    environment = Environment(base)
    environment.pip(
        "install", "--no-deps", "--no-index", *wheels(base / "wheels", source), folder=base
    )
    shutil.rmtree(source)
    return environment


@pytest.mark.slow
def test_packages_are_built_installed_listed_checked_studied_and_removed(host, tmp_path):
    work, built = tmp_path / "work", tmp_path / "wheels"
    work.mkdir()
    built.mkdir()

    def program(*words):
        done = host.program(*words, folder=work)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    made = program("new", "sampler", "my-pair", "--package", "--output", tmp_path / "mine")
    hexagon = shutil.copytree(HEXAGON, tmp_path / "hexagon")
    found = wheels(built, hexagon, made.strip())
    assert [own.name.partition("-py3")[0] for own in found] == [
        "n2n_ablate_hexagon-1.2.0",
        "n2n_ablate_my_pair-0.1.0",
    ]
    host.pip("install", "--no-deps", "--no-index", *found, folder=work)

    components = json.loads(program("plugins", "--json"))["components"]
    told = {item["name"]: item for item in components if item["kind"] == "sampler"}
    assert {item["package"] for item in components} == {
        *("n2n-ablate", "n2n-ablate-hexagon", "n2n-ablate-my-pair")
    }
    assert all(item["file"].startswith(str(host.site)) for item in components)
    assert told["hexagon"]["version"] == "1.2.0"
    assert told["my-pair"]["installed"] == "package"

    checked = program("check", "n2n-ablate-hexagon")
    assert "sampler hexagon (hexagon 1.2.0) at defaults, pairs_of_views=ring" in checked

    both = ("--set", "sampler=hexagon", "--set", "sampler=my-pair")
    studied = program("study", "samplers", *both, *QUICK, "--images", "builtin:coffee")
    assert " hexagon " in studied
    assert " my-pair " in studied

    host.pip("uninstall", "-y", "n2n-ablate-hexagon", "n2n-ablate-my-pair", folder=work)
    left = json.loads(program("plugins", "--json"))["components"]
    assert {item["package"] for item in left} == {"n2n-ablate"}


LAB = '''
"""A strategy, a metric and a tracker of one package."""

from pathlib import Path

from n2n_ablate import hookimpl


class Every:
    """Points at random (this project)."""

    def sampler(self, seed):
        import optuna

        return optuna.samplers.RandomSampler(seed=seed)


class Worst:
    """Largest error (this project)."""

    higher_is_better = False
    at_end = True

    def measure(self, denoised, clean, noisy):
        return (denoised - clean).abs().amax(dim=(1, 2, 3))


@hookimpl
def register_strategies(register):
    register("every", Every)


@hookimpl
def register_metrics(register):
    register("worst", Worst)


@hookimpl
def point(point):
    write("point", point.trial, point.image, point.seed, point.step)


@hookimpl
def trial_finished(result):
    shape = result.with_images().rows[0].result.denoised.shape
    write("trial", result.trial.name, round(result.mean("worst", "sigma 25"), 6), shape)


def write(*words):
    with Path("heard.tsv").open("a", encoding="utf-8") as file:
        print(*words, sep="\\t", file=file)
'''


@pytest.mark.slow
def test_a_package_with_a_strategy_a_metric_and_a_tracker(host, tmp_path, tiny_text):
    work, source, built = (tmp_path / name for name in ("work", "lab", "wheels"))
    for folder in (work, source, built):
        folder.mkdir()
    (source / "lab.py").write_text(LAB)
    project = (
        '[project]\nname = "lab"\nversion = "1"\n[project.entry-points.n2n_ablate]\nlab = "lab"\n'
    )
    (source / "pyproject.toml").write_text(project + '[tool.setuptools]\npy-modules = ["lab"]\n')
    tiny = tiny_text.replace('{ name = "tpe", startup = 2 }', '"every"')
    (work / "tiny.toml").write_text(
        tiny.replace("[baseline]", 'metrics = ["worst"]\n[baseline]', 1)
    )

    def program(*words, status=0):
        done = host.program(*words, folder=work)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    host.pip("install", "--no-deps", "--no-index", *wheels(built, source), folder=work)
    assert "every" in program("check", "lab")
    quick = ("tiny.toml", "--set", "training.steps=5", "--tracking", "none")
    program("study", *quick)
    heard = [line.split("\t") for line in (work / "heard.tsv").read_text().splitlines()]
    points = [line for line in heard if line[0] == "point"]
    trials = [line for line in heard if line[0] == "trial"]
    assert {line[2] for line in points} == {"astronaut", "coffee"}
    assert {line[1] for line in points} == {line[1] for line in trials}
    assert len(trials) == 4
    assert all(float(line[2]) > 0 and line[3] == "(3, 24, 24)" for line in trials)
    program("sync", "--to", "lab")
    again = [line.split("\t") for line in (work / "heard.tsv").read_text().splitlines()]
    assert again[len(heard) :] == trials
    host.pip("uninstall", "-y", "lab", folder=work)
    assert "no metric is called 'worst'" in program("study", *quick, status=1)
