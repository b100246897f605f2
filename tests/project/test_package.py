"""What is installed: every package, every study, every first-party plugin."""

import tomllib
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
