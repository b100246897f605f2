"""Stored fits that no run needs are listed and removed; those of a run never are."""

import json
import shutil

import pytest
from helpers.program import here

from n2n_ablate import locks
from n2n_ablate.errors import BusyError, StoreError, StoreUnavailableError
from n2n_ablate.storage.cached_fits import cached_fits, remove_unused
from n2n_ablate.storage.journal import find
from n2n_ablate.storage.output import Output

WORDS = ("study", "tiny.toml", "--tracking", "none", "--trials", "2", "--crop", "16", "-q")
WORDS += ("--set", "training.steps=2", "--json", "--confirm-images", "builtin:rocket")
UNUSED = "ab" * 16


@pytest.fixture(scope="module")
def ran(tmp_path_factory, tiny_text):
    """A folder in which a study was run and confirmed."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "tiny.toml").write_text(tiny_text)
    done = here(*WORDS, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def home(ran, tmp_path):
    """A copy of it with a fit that no run needs and one that is damaged."""
    home = tmp_path / "home"
    shutil.copytree(ran, home)
    fits = home / "mlruns" / "fits"
    whole = next(fits.rglob("*.safetensors"))
    (fits / "ab").mkdir(exist_ok=True)
    for name in (f"{UNUSED}.safetensors", f"{UNUSED[:-1]}c.damaged"):
        shutil.copy(whole, fits / "ab" / name)
    (fits / "ab" / "notes.txt").write_text("mine")
    return home


def files(home):
    return {path for path in (home / "mlruns" / "fits").rglob("*") if path.is_file()}


def refused(home, error=StoreError):
    """Return why nothing is removed."""
    before = files(home)
    with pytest.raises(error) as caught:
        remove_unused(Output(home / "mlruns"))
    assert files(home) == before
    return str(caught.value)


def test_what_runs_need_and_what_they_do_not_is_listed(home):
    told = json.loads(here("cache", "--json", folder=home).stdout)
    (run,) = told["runs"]
    assert (run["study"], run["profile"], run["complete"]) == ("tiny", "quick", True)
    stored = {path for path in files(home) if path.suffix != ".txt"}
    assert told["fits"] == len(stored) == run["fits"] + 2
    assert told["bytes"] == sum(path.stat().st_size for path in stored)
    assert told["unused"]["fits"] == 2
    assert not told["unused"]["removed"]
    whole = sum(path.lstat().st_size for path in (home / "mlruns").rglob("*") if path.is_file())
    assert told["folder_bytes"] == whole
    text = here("cache", folder=home)
    assert f" {run['run']} " in text.stdout
    assert "Used by no finished trial: 2 stored fits, " in text.stderr


def test_what_no_run_needs_is_removed_and_the_study_goes_on_without_training(home):
    before = files(home)
    done = here("cache", "--remove-unused", folder=home)
    assert done.stderr.startswith("removed: 2 stored fits, ")
    gone = {path.name for path in before - files(home)}
    assert gone == {f"{UNUSED}.safetensors", f"{UNUSED[:-1]}c.damaged"}
    again = json.loads(here(*WORDS, folder=home).stdout)
    assert again["fits"]["cached"] == again["fits"]["total"]
    done = here("cache", "--remove-unused", folder=home)
    assert done.stderr == "every stored fit is needed by a run\n"


def test_a_run_whose_journal_is_deleted_is_given_up(home):
    (contents,) = find(home / "mlruns", "tiny")
    contents.path.unlink()
    removed = remove_unused(Output(home / "mlruns")).unused
    assert len(removed) > 4
    assert {path.name for path in files(home)} == {"notes.txt"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "\n".join(text.split("\n")[:-2]) + "\n",  # killed before its end
        lambda text: text.replace('"finished"', '"interrupted"'),
        lambda text: text.replace('"line": "trial"', '"line": "tri', 1),
        lambda text: text.replace('"format": ', '"format": 9', 1),  # of a newer version
        lambda _: "",
    ],
)
def test_while_a_run_may_need_more_than_its_journal_says_nothing_is_removed(home, spoil):
    (contents,) = find(home / "mlruns", "tiny")
    contents.path.write_text(spoil(contents.path.read_text()))
    told = refused(home)
    assert f"'{contents.path}'" in told
    assert "delete these journals" in told
    assert not cached_fits(Output(home / "mlruns", reading=True)).runs[0].complete


def test_while_a_study_is_running_nothing_is_removed(home):
    with Output(home / "mlruns").lock("tiny-0123456789", "unused"):
        assert "study 'tiny' is being run by n2n-ablate, process " in refused(home, BusyError)


def test_no_study_starts_while_fits_are_removed(home, monkeypatch):
    monkeypatch.setattr(locks, "_QUIET", 0.05)
    monkeypatch.setattr(locks, "_PATIENCE", 0.05)
    with (
        Output(home / "mlruns").idle(),
        pytest.raises(StoreUnavailableError, match="another process removes fits"),
        Output(home / "mlruns").lock("tiny-0123456789", "unused"),
    ):
        pass


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    done = here("cache", "--output", "nowhere", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the output folder 'nowhere' does not exist")
    assert not list(tmp_path.iterdir())
