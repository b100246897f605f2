"""New components: every kind works as it is written, as a file and as a package, and writes over nothing."""

import contextlib
import importlib.metadata
import runpy
import sys
import tomllib

import pytest
from helpers.program import here

from n2n_ablate.components import KINDS
from n2n_ablate.errors import PluginError
from n2n_ablate.registry import Registry
from n2n_ablate.testing import NotTried, broken_promises, scaffold, settings_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_component_keeps_every_promise_and_marks_three_lines(kind, folder):
    file = scaffold.new_file(scaffold.names(kind, "my-own"))
    assert file.as_posix() == "plugins/my_own.py"
    text = file.read_text()
    assert [text.count(f"# {mark}: ") for mark in (1, 2, 3, 4)] == [1, 1, 1, 0]
    assert max(map(len, text.splitlines())) <= 100
    entry = Registry().get(kind, "my-own")
    assert entry.summary
    for setting in settings_of(entry.factory):
        assert list(broken_promises(kind, entry.factory(**setting))) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_has_an_entry_point_and_a_test_that_passes(kind, folder, monkeypatch):
    root = scaffold.new_package(scaffold.names(kind, "my-own"))
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    point = importlib.metadata.EntryPoint(
        "my-own", project["entry-points"]["n2n_ablate"]["my-own"], "n2n_ablate"
    )
    monkeypatch.syspath_prepend(root / "src")
    assert Registry(point.load(), installed=False).names(kind) == ["my-own"]
    names = runpy.run_path(str(root / "tests" / "test_my_own.py"))
    case = names["TestMyOwn"]()
    promises = [name for name in dir(case) if name.startswith("test_")]
    assert promises
    for name in promises:
        with contextlib.suppress(NotTried):
            getattr(case, name)()
    del sys.modules["n2n_ablate_my_own"]  # the next one has the same name


def test_nothing_is_written_over(folder):
    wanted = scaffold.names("noise", "my-own")
    file = scaffold.new_file(wanted)
    file.write_text("mine")
    with pytest.raises(PluginError, match=r"'plugins/my_own\.py' is there already"):
        scaffold.new_file(wanted)
    assert file.read_text() == "mine"
    scaffold.new_package(wanted)
    with pytest.raises(PluginError, match="'n2n-ablate-my-own' is there already"):
        scaffold.new_package(wanted)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("samplr", "x"), "no kind is called 'samplr'. Did you mean 'sampler'?"),
        (("sampler", "My_Pair"), "cannot be called 'My_Pair': lowercase words joined by hyphens"),
        (("sampler", "3x3"), "cannot be called '3x3'"),
        (("sampler", "../out"), "cannot be called '../out'"),
        (("sampler", "diagonal"), "a sampler called 'diagonal' comes from zs-n2n"),
    ],
)
def test_a_name_that_cannot_be_is_one_line(words, line, folder):
    done = here("new", *words, folder=folder)
    assert done.returncode == 1
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(folder.iterdir())


def test_a_class_does_not_hide_what_the_file_imports():
    assert scaffold.names("noise", "range").class_name == "RangeNoise"
    assert scaffold.names("noise", "my-3-noise").class_name == "My3Noise"
    for kind in KINDS:
        assert "MyThing" in scaffold.names(kind, "my-thing").fill(f"{kind}.py")
