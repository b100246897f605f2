"""A study that was run with other seeds or settings has several runs, and each can be reached."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.program import here

from n2n_ablate.errors import StoreError
from n2n_ablate.storage import journal, reopen, runs

WORDS = ("study", "tiny.toml", "--tracking", "none", "--trials", "2", "--crop", "16", "-q")
WORDS += ("--set", "training.steps=2")


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_text):
    """A folder in which a study was run with seed 0, then with seed 1, then with another profile."""
    folder = tmp_path_factory.mktemp("home")
    for seed in (0, 1):
        text = tiny_text.replace("trials = 4", f"trials = 4\nseeds = [{seed}]")
        (folder / "tiny.toml").write_text(text)
        assert here(*WORDS, folder=folder).returncode == 0
    assert here(*WORDS, "--profile", "other", folder=folder).returncode == 0
    return folder


@pytest.fixture(scope="module")
def keys(home):
    """The keys of its runs, the latest first."""
    return [contents.key for contents in journal.find(home / "mlruns", "tiny")]


def test_an_earlier_run_is_opened_by_the_beginning_of_its_key(home, keys):
    for key, seeds in zip(keys, [(0, 1), (1,), (0,)], strict=True):
        found = reopen.reopen(home / "mlruns", "tiny", run=key[:8])
        assert (found.journal.key, found.plan.profile.seeds) == (key, seeds)
        assert found.latest == (key == keys[0])
    assert reopen.reopen(home / "mlruns", "tiny").latest
    assert not reopen.reopen(home / "mlruns", "tiny", "quick").latest


def test_a_key_that_no_run_or_more_than_one_has_is_one_line_that_lists_them(home, keys):
    found = journal.find(home / "mlruns", "tiny")
    with pytest.raises(StoreError, match=r"study 'tiny' has no run 'zz'\. Its runs: ") as error:
        runs.pick(found, "zz")
    for contents, seeds in zip(found, ("seeds 0, 1", "seed 1", "seed 0"), strict=True):
        about = f"{contents.key} ({runs.when(contents)}, {contents.profile}, {seeds}, 2 trials, "
        assert f"{about}--set training.steps=2)" in str(error.value)
    with pytest.raises(StoreError, match="has no run") as error:
        reopen.reopen(home / "mlruns", "tiny", "other", keys[1])
    assert keys[1] not in str(error.value).partition("Its runs")[2]
    path = found[0].path
    alike = [replace(found[0], path=path.with_name(f"quick-ab{n:08}.jsonl")) for n in range(7)]
    with pytest.raises(StoreError, match=r"--run ab could be 7 runs of study 'tiny'") as error:
        runs.pick(alike, "ab")
    assert "; and 2 more. Give more of the key." in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_that_cannot_be_opened_is_listed(tmp_path):
    path = tmp_path / "studies" / "old" / "quick-0123456789.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("")
    (found,) = journal.find(tmp_path, "old")
    assert runs.described(found).endswith(", quick, cannot be opened)")
    done = here("studies", "old", "--output", tmp_path, folder=tmp_path)
    assert "it has no header" in " ".join(done.stdout.split())
    (told,) = json.loads(here("studies", "old", "--output", ".", "--json", folder=tmp_path).stdout)
    assert (told["run"], told["problem"]) == (found.key, found.problem)


def test_the_runs_of_a_study_are_listed_the_latest_first(home, keys):
    told = json.loads(here("studies", "tiny", "--json", folder=home).stdout)
    assert [one["run"] for one in told] == keys
    assert [one["seeds"] for one in told] == [[0, 1], [1], [0]]
    assert [one["profile"] for one in told] == ["other", "quick", "quick"]
    assert {(one["trials"], *one["settings"]) for one in told} == {(2, "training.steps=2")}
    assert sorted((one["used"] for one in told), reverse=True) == [one["used"] for one in told]
    shown = here("studies", "tiny", folder=home).stdout
    assert [word for word in shown.split() if word in keys] == keys
    wrong = here("studies", "tinny", folder=home)
    assert wrong.returncode == 1
    assert "Did you mean 'tiny'?" in wrong.stderr


def test_every_command_calls_the_two_keys_alike(home, keys):
    (listed, *_) = json.loads(here("studies", "tiny", "--json", folder=home).stdout)
    words = [word for word in WORDS[1:] if word not in ("--tracking", "none", "-q")]
    planned = here("plan", *words, "--profile", "other", "--json", folder=home)
    both = ("run", "plan")
    asked = json.loads(planned.stdout)
    assert [asked[name] for name in both] == [listed[name] for name in both]
    told = json.loads(here("report", "tiny", "--format", "json", folder=home).stdout)
    assert told["plan"] == listed["plan"] != listed["run"] == keys[0]


def test_studies_are_listed_as_json_too(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "broken.toml").write_text("question = 1")
    told = json.loads(here("studies", "--json", folder=tmp_path).stdout)
    known = {one["study"]: one for one in told}
    assert known["samplers"]["profiles"][0] == "quick"
    assert known["samplers"]["problem"] is None
    assert "cannot be read" in known["broken"]["problem"]


@pytest.mark.parametrize(
    "words",
    [
        ("report", "tiny", "--format", "json"),
        ("compare", "tiny", "0.2", "--json"),
        ("best", "tiny", "--json"),
    ],
)
def test_a_command_that_takes_the_latest_of_several_says_so_in_one_line(home, keys, words):
    latest = here(*words, folder=home)
    (line,) = [text for text in latest.stderr.splitlines() if " runs: " in text]
    assert line.startswith(f"the latest of 3 runs: {keys[0]} (")
    assert line.endswith("; --run takes another: n2n-ablate studies tiny")
    json.loads(latest.stdout)
    quick = here(*words, "--profile", "quick", folder=home)
    assert f"the latest of 2 runs: {keys[1]} (" in quick.stderr
    for quiet in (("--run", keys[2]), ("--profile", "other"), ("--quiet",)):
        done = here(*words, *quiet, folder=home)
        assert done.returncode == 0
        assert " runs: " not in done.stderr
    assert here(*words, "--run", keys[2], folder=home).stdout != latest.stdout


def test_the_next_command_names_the_run_where_it_is_not_the_latest(home, keys):
    told = json.loads(here("best", "tiny", "--json", folder=home).stdout)
    assert (told["run"], "--run" in told["command"]) == (keys[0], False)
    for way in (("--run", keys[1][:9]), ("--profile", "quick")):
        told = json.loads(here("best", "tiny", "--json", *way, folder=home).stdout)
        assert told["run"] == keys[1]
        assert told["command"].endswith(f"--from-study tiny --run {keys[1]}")
    noisy = Path(__file__).parents[2] / "docs" / "missing.png"
    words = shlex.split(told["command"].replace("noisy.png", str(noisy)))[1:]
    assert "does not exist" in here(*words, folder=home).stderr  # every option is one


def test_a_recipe_comes_from_the_run_that_is_asked_for(home, keys, photo):
    photo(home / "noisy.png")
    words = ("denoise", "noisy.png", "-o", "clean.png", "--set", "training.steps=2")
    done = here(*words, "--from-study", "tiny", "--run", keys[2], folder=home)
    assert done.returncode == 0, done.stderr
    assert f"of tiny (quick, run {keys[2]})" in done.stderr
    alone = here(*words, "--run", keys[2], folder=home)
    assert "--run needs --from-study: it names a run of a study" in alone.stderr


def test_the_page_of_an_earlier_run_does_not_replace_that_of_the_latest(home, keys):
    words = ("report", "tiny", "--no-diagnostics", "-q")
    assert here(*words, folder=home).stdout.strip() == "mlruns/reports/tiny.html"
    earlier = here(*words, "--run", keys[2], folder=home).stdout.strip()
    assert earlier == f"mlruns/reports/tiny-{keys[2]}.html"
    assert (home / earlier).is_file()
