"""What is published and installed: every package, every study, every first-party plugin."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_listed_for_the_wheel():
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for file in ROOT.glob("n2n_ablate/**/__init__.py")
    }
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    assert listed == found | {"n2n_ablate_plugins", "n2n_ablate_studies"}


def test_every_plugin_file_has_an_entry_point():
    modules = PROJECT["project"]["entry-points"]["n2n_ablate"].values()
    files = {file.stem for file in (ROOT / "plugins").glob("[!_]*.py")}
    assert set(modules) == {f"n2n_ablate_plugins.{name}" for name in files}


@pytest.mark.parametrize("name", ["study", "test", "check", "docs"])
def test_the_makefile_has_the_promised_target(name):
    assert f"\n{name}:" in (ROOT / "Makefile").read_text()


def test_the_citation_is_of_this_version_and_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    own = PROJECT["project"]
    given = cited["title"], cited["version"], cited["license"]
    assert given == (own["name"], own["version"], own["license"])
    assert cited["cff-version"] == "1.2.0"
    assert {"title", "authors", "type"} <= set.intersection(*map(set, cited["references"]))


def test_the_readme_installs_the_torch_that_is_asked_for():
    (torch,) = (item for item in PROJECT["project"]["dependencies"] if item.startswith("torch"))
    assert f"pip install '{torch}' --index-url" in (ROOT / "README.md").read_text()


# Source distribution, wheel, installation


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(kind, source, folder, compiler=""):
    environment = os.environ | ({"CC": compiler} if compiler else {})
    words = ("-m", "build", "--no-isolation", f"--{kind}", "--outdir", folder, source)
    run(sys.executable, *words, env=environment)
    (file,) = folder.glob("*.tar.gz" if kind == "sdist" else "*.whl")
    return file


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """A source distribution, unpacked; built from what git would take along."""
    folder = tmp_path_factory.mktemp("sdist")
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "checkout" / name).write_bytes((ROOT / name).read_bytes())
    file = built("sdist", folder / "checkout", folder)
    assert file.stat().st_size < 3_000_000
    with tarfile.open(file) as archive:
        archive.extractall(folder)  # ours; `filter` is not in every Python 3.11
    return folder / file.name.removesuffix(".tar.gz")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
@pytest.mark.parametrize(
    "compiler", ["false", pytest.param("", marks=pytest.mark.slow)], ids=["no compiler", "compiled"]
)
def test_a_wheel_from_the_source_distribution_works_in_an_empty_environment(
    compiler, sdist, tmp_path
):
    for name in ("docs/index.md", "tests/conftest.py", "CHANGELOG.md", "examples", "LICENSE"):
        assert (sdist / name).exists(), name
    wheel = built("wheel", sdist, tmp_path, compiler)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (meta,) = (name for name in names if name.endswith("/METADATA"))
        described = Parser().parsestr(archive.read(meta).decode())
    wanted = {f"n2n_ablate_studies/{path.name}" for path in (ROOT / "studies").glob("*.toml")}
    wanted |= {f"n2n_ablate_plugins/{path.name}" for path in (ROOT / "plugins").glob("*.py")}
    wanted |= {f"n2n_ablate/engine/kernel/{name}.c" for name in ("chain", "avx2", "avx512")}
    wanted |= {"n2n_ablate/py.typed", "n2n_ablate/study/study.schema.json"}
    assert wanted <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]
    assert any(name.endswith((".so", ".pyd")) for name in names) == (not compiler)
    check_metadata(described)

    environment = tmp_path / "empty"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    install = ("--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *install, wheel)
    # Its dependencies are those of this environment; a checkout that is installed there is not.
    (site,) = (environment / "lib").glob("python*/site-packages")
    folders = [
        sysconfig.get_path("purelib"),
        *(path for path in sys.path if "site-packages" in path),
    ]
    (site / "dependencies.pth").write_text("\n".join(folders))
    program = environment / "bin" / "n2n-ablate"
    assert PROJECT["project"]["version"] in run(program, "--version", cwd=tmp_path)
    where = "import n2n_ablate, n2n_ablate_plugins as p; print(n2n_ablate.__file__, p.__file__)"
    assert run(python, "-c", where, cwd=tmp_path).count(str(site)) == 2
    assert "center-weight" in run(program, "studies", cwd=tmp_path)


def check_metadata(described):
    """A package index can show it: Markdown without links into the repository, classifiers, people."""
    assert described["Description-Content-Type"] == "text/markdown"
    assert described["Author"]
    assert described["License-Expression"] == "MIT"
    assert described.get_all("Project-URL")
    targets = re.findall(r"\]\(([^)]*)\)", described.get_payload())
    assert targets
    assert all(target.startswith("https://") for target in targets)
    assert "![" not in described.get_payload()
    extras = set(described.get_all("Provides-Extra"))
    text = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    assert all(
        f"`{extra}`" in text.partition("## Extras")[2].partition("## ")[0] for extra in extras
    )


def test_the_first_python_of_the_classifiers_is_the_oldest_that_is_allowed():
    given = re.findall(r":: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert given[0] == PROJECT["project"]["requires-python"].removeprefix(">=")
