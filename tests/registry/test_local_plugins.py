"""Files in ./plugins run by being there: said once, not run where none is needed, one switch for all."""

import json
import os
from pathlib import Path

import pytest
from helpers.program import here

from n2n_ablate.registry import Registry
from n2n_ablate.registry.discovery import LOCAL_SWITCH

TEXT = '''\
from pathlib import Path

from n2n_ablate import hookimpl

with Path("ran.txt").open("a") as file:
    file.write("x")


class Rows:
    """Even rows against odd rows."""

    def draw(self, image, rng):
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


@hookimpl
def register_samplers(register):
    register("mine", Rows)
'''
QUICK = ("--set", "training.steps=2")


@pytest.fixture
def work(folder, monkeypatch):
    """A folder with a plugin file that says that it ran, in a home where none was run before."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_text(TEXT)
    return folder


def ran(folder):
    path = folder / "ran.txt"
    count = len(path.read_text()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


def test_new_files_are_said_once_per_folder(work, caplog, monkeypatch):
    def said():
        caplog.clear()
        Registry()
        return [record.getMessage() for record in caplog.records]

    (line,) = said()
    assert line == (
        "note: running the code in plugins (new or changed: mine.py). "
        "N2N_ABLATE_LOCAL_PLUGINS=0 turns this off."
    )
    assert said() == []
    (work / "plugins" / "other.py").write_text(TEXT.replace("mine", "other"))
    assert "(new or changed: other.py)" in said()[0]
    (work / "plugins" / "mine.py").write_text(TEXT + "\n# changed\n")
    assert "(new or changed: mine.py)" in said()[0]
    assert said() == []
    second = work / "second"
    second.mkdir()
    (work / "plugins").rename(second / "plugins")
    monkeypatch.chdir(second)
    assert "(new or changed: mine.py, other.py)" in said()[0]


def test_in_a_checkout_of_this_project_its_own_plugins_are_not_said(work, caplog, monkeypatch):
    checkout = Path(__file__).parents[2]
    assert (checkout / "plugins" / "zs_n2n.py").exists()
    monkeypatch.chdir(checkout)
    Registry()
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("state", ["a file", "no json", "a list", "a folder"])
def test_where_it_cannot_be_remembered_it_is_said_again_and_nothing_fails(state, work, caplog):
    place = work / "state" / "n2n-ablate" / "plugin-files.json"
    if state == "a file":
        (work / "state").write_text("")
    elif state == "a folder":
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True)
        place.write_text("{" if state == "no json" else "[1]")
    for _ in range(2):
        assert Registry().get("sampler", "mine")
    assert "mine.py" in caplog.records[0].getMessage()


@pytest.mark.parametrize("value", ["0", "no", "OFF", " false "])
def test_the_switch_turns_them_off_everywhere(value, work):
    here("plugins", folder=work, **{LOCAL_SWITCH: value})
    assert not ran(work)


def test_the_option_turns_them_off_everywhere(work):
    done = here("--no-local-plugins", "plugins", "--json", folder=work)
    assert not ran(work)
    assert "mine" not in {item["name"] for item in json.loads(done.stdout)["components"]}
    done = here("--no-local-plugins", "check", "mine", folder=work)
    assert done.returncode == 1
    assert not ran(work)
    assert here("plugins", folder=work).returncode == 0
    assert ran(work)


def test_denoise_runs_them_only_if_the_recipe_needs_one(work, photo):
    photo(work / "in.png")
    done = here("denoise", "in.png", "-o", "out.png", *QUICK, folder=work)
    assert done.returncode == 0, done.stderr
    assert not ran(work)
    words = ("denoise", "in.png", "-o", "other.png", "--set", "sampler=mine", *QUICK)
    done = here(*words, folder=work)
    assert done.returncode == 0, done.stderr
    assert ran(work) == 1


def test_report_runs_them_only_if_the_study_needs_one(work, tiny):
    words = ("study", tiny, "--trials", "1", "--tracking", "none", "--quiet", *QUICK)
    assert here(*words, folder=work).returncode == 0
    ran(work)
    done = here("report", "tiny", "--format", "md", folder=work)
    assert done.returncode == 0, done.stderr
    assert not ran(work)
    words = ("study", "samplers", "--set", "sampler=mine", "--crop", "24")
    more = ("--images", "builtin:coffee", "--tracking", "none", "--quiet", *QUICK)
    assert here(*words, *more, folder=work).returncode == 0
    ran(work)
    done = here("report", "samplers", "--format", "md", folder=work)
    assert done.returncode == 0, done.stderr
    assert ran(work) == 1


def test_hidden_files_are_no_plugins(work):
    for name in ("._mine.py", ".mine.py", "_mine.py", ".hidden.py"):
        (work / "plugins" / name).write_bytes(b"\x00\x05\x16\x07 no Python at all")
    assert not Registry().broken


def test_what_is_no_file_is_named_and_not_waited_for(work):
    folder = work / "plugins"
    os.mkfifo(folder / "pipe.py")
    (folder / "folder.py").mkdir()
    (folder / "nowhere.py").symlink_to("not-there")
    (folder / "round.py").symlink_to("round.py")
    (folder / "device.py").symlink_to("/dev/zero")
    told = {item.origin.plugin: item.why for item in Registry().broken}
    assert "symbolic links" in told.pop("round")
    assert told == {
        "pipe": "the file is a pipe, not a file",
        "folder": "the file is a folder, not a file",
        "nowhere": "the file does not exist",
        "device": "the file is a device, not a file",
    }
    assert here("plugins", folder=work).returncode == 0
    assert here("check", "plugins/pipe.py", folder=work).returncode == 1


@pytest.mark.parametrize(
    "content", [b"\x00", b"\xff\xfe", b"x = '\x00'", b"# coding: nonsense\n", b"(" * 5000, b"if"]
)
def test_what_is_no_python_is_named(content, work):
    (work / "plugins" / "odd.py").write_bytes(content)
    (broken,) = Registry().broken
    assert broken.origin.plugin == "odd"
    assert str(broken).isprintable()


@pytest.mark.parametrize("name", ["a b", "a.b", "ä", "[red]", "a\nb", "-x", "x" * 200, "%s", "1"])
def test_a_file_may_have_any_name(name, work):
    (work / "plugins" / "mine.py").rename(work / "plugins" / f"{name}.py")
    registry = Registry()
    assert not registry.broken
    assert registry.get("sampler", "mine").origin.plugin == name
    assert here("plugins", folder=work).returncode == 0


def test_a_plugins_folder_that_is_none_is_left_alone(folder):
    (folder / "plugins").write_text("a file")
    assert not Registry().broken
    (folder / "plugins").unlink()
    os.mkfifo(folder / "plugins")
    assert not Registry().broken


def test_a_plugins_folder_that_cannot_be_read_is_named(mortal, monkeypatch):
    (mortal / "plugins").mkdir(mode=0o300)
    monkeypatch.chdir(mortal)
    (broken,) = Registry().broken
    assert broken.why == "the folder cannot be read: Permission denied"
    monkeypatch.undo()
