"""A store that lost a part: `sync` and the same command notice, restore it, or say what cannot be."""

import contextlib
import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from helpers.program import here, run
from helpers.small_study import small_study, write_photos
from helpers.thinning import thinned
from mlflow.tracking._tracking_service import utils

from n2n_ablate.errors import AblateError, StoreError
from n2n_ablate.registry import Registry
from n2n_ablate.runner.replay import sync
from n2n_ablate.storage import journal, reopen
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.output import Output
from n2n_ablate.tracking.address import tracking_uri
from n2n_ablate.tracking.store import MlflowStore

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports

STUDY = small_study("pair", '"sampler.center" = [0.2]')


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which the study was run, and not tracked."""
    folder = tmp_path_factory.mktemp("trained")
    write_photos(folder)
    (folder / "pair.toml").write_text(STUDY)
    done = here("study", "pair.toml", "--quiet", "--tracking", "none", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def tracked(trained, tmp_path_factory):
    """A copy of that folder with MLflow's runs."""
    folder = tmp_path_factory.mktemp("tracked") / "home"
    shutil.copytree(trained, folder)
    bring(folder)
    return folder


@pytest.fixture
def folder(tracked, tmp_path, monkeypatch):
    """A copy of that one, which a test may spoil."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = tmp_path / "home"
    shutil.copytree(tracked, home)
    with contextlib.closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database, database:
        for column in ("experiments set artifact_location", "runs set artifact_uri"):
            name = column.rpartition(" ")[2]
            database.execute(f"update {column} = replace({name}, ?, ?)", (str(tracked), str(home)))
    utils._artifact_repos_cache.clear()  # of the whole process, by run: the copies share their names
    return home


def bring(folder):
    (contents,) = reopen.every(folder / "mlruns")
    return sync(contents, Output(folder / "mlruns"), Registry(), images=[str(folder / "photos")])


def runs_of(folder):
    store = MlflowStore(folder / "mlruns", tracking_uri(folder / "mlruns"))
    return {run.info.run_name: run for run in store.runs(store.experiment_id("pair"), "")}


def files_of(folder):
    """Names of files by name of the run, and names of folders that belong to no run."""
    store = MlflowStore(folder / "mlruns", tracking_uri(folder / "mlruns"))
    every = store.runs(store.experiment_id("pair"), "", deleted=True)
    runs = {run.info.run_id: run.info.run_name for run in every}
    active = {run.info.run_id for run in runs_of(folder).values()}
    home = folder / "mlruns" / "artifacts" / "pair"
    found = {name: set() for name in runs.values()}
    for path in home.rglob("*") if home.is_dir() else ():
        own, *rest = path.relative_to(home).parts
        if path.is_file() and (own in active or own not in runs):
            found[runs[own]].add("/".join(rest))
    return found


def again(folder):
    """Give the same command again."""
    done = here("study", "pair.toml", "--quiet", folder=folder)
    assert done.returncode == 0, done.stderr


BOTH = pytest.mark.parametrize("how", [bring, again], ids=["sync", "study"])


@BOTH
@pytest.mark.parametrize(
    "lost", thinned("a run", "a file", rare=["all", "a study", "the images of a run"])
)
def test_files_of_runs_that_were_deleted_are_restored(folder, how, lost):
    before = files_of(folder)
    assert all(before.values())
    home = folder / "mlruns" / "artifacts"
    run = runs_of(folder)["sampler.center=0.2"].info.run_id
    inside = home / "pair" / run / "artifacts"
    if lost == "a file":
        next(path for path in inside.rglob("*") if path.is_file()).unlink()
    else:
        gone = {"all": home, "a study": home / "pair", "a run": home / "pair" / run}
        shutil.rmtree(gone.get(lost) or next(path for path in inside.iterdir() if path.is_dir()))
    done = how(folder)
    found = files_of(folder)
    assert found == before
    if done is not None:
        assert done.written >= 1
        assert bring(folder).written == 0


@BOTH
def test_runs_that_were_deleted_are_written_again(folder, how):
    before = files_of(folder)
    store = MlflowStore(folder / "mlruns", tracking_uri(folder / "mlruns"))
    store.client.delete_run(runs_of(folder)["baseline"].info.run_id)
    how(folder)
    assert files_of(folder) == before


@BOTH
def test_a_database_that_was_deleted_is_made_again_and_leaves_no_orphans(folder, how):
    before = files_of(folder)
    old = {path.name for path in (folder / "mlruns/artifacts/pair").iterdir()}
    (folder / "mlruns" / "mlflow.db").unlink()
    done = how(folder)
    assert files_of(folder) == before  # fails on a folder that belongs to no run
    assert not old & {path.name for path in (folder / "mlruns/artifacts/pair").iterdir()}
    if done is not None:
        assert done.orphans == len(old)


@pytest.mark.slow
def test_a_database_that_another_process_made_again_is_written_to(folder):
    before = files_of(folder)
    (folder / "mlruns" / "mlflow.db").unlink()
    assert run("sync", folder=folder).returncode == 0
    shutil.rmtree(folder / "mlruns" / "artifacts")
    assert bring(folder).written >= 1  # here the deleted database is still open
    assert files_of(folder) == before


def test_what_is_no_folder_of_a_run_and_what_another_store_keeps_stays(folder, tmp_path):
    home = folder / "mlruns" / "artifacts" / "pair"
    (home / "notes").mkdir()
    (home / "notes" / "mine.txt").write_text("mine")
    other = f"sqlite:///{tmp_path}/other.db"
    (contents,) = reopen.every(folder / "mlruns")
    done = sync(contents, Output(folder / "mlruns"), Registry(), uri=other)
    assert done.written == 3
    kept = sorted(path for path in (folder / "mlruns" / "artifacts").rglob("*") if path.is_file())
    assert bring(folder).orphans == 0
    sync(contents, Output(folder / "mlruns"), Registry(), uri=other)
    now = sorted(path for path in (folder / "mlruns" / "artifacts").rglob("*") if path.is_file())
    assert now == kept


def test_files_that_are_gone_like_their_fits_are_said(folder):
    shutil.rmtree(folder / "mlruns" / "artifacts")
    for path in (folder / "mlruns" / "fits").rglob("*.safetensors"):
        path.unlink()
    problems = " ".join(bring(folder).problems)
    assert "files of runs that are gone like their fits: baseline, sampler.center=0.2" in problems
    assert "Running the study again trains them" in problems


def cut(folder, share):
    (path,) = (folder / "mlruns" / "studies" / "pair").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("share", thinned(0, 0.5, rare=[0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.99]))
def test_a_journal_that_was_cut_is_said_and_made_whole_by_the_same_command(folder, share):
    before = files_of(folder)
    cut(folder, share)
    try:
        found = reopen.reopen(folder / "mlruns", "pair")
    except StoreError as error:
        assert "Run the study again" in str(error)  # noqa: PT017
    else:
        assert len(found.result.trials) == 2 or found.problems()
    again(folder)
    whole = reopen.reopen(folder / "mlruns", "pair")
    assert [trial.trial.name for trial in whole.result.trials] == ["baseline", "sampler.center=0.2"]
    assert not whole.problems()
    bring(folder)
    assert {name for name in files_of(folder) if name != "summary"} == set(before) - {"summary"}


SPOILED = {
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "loop": lambda path: path.symlink_to(path),
    "text": lambda path: path.write_text("no database" * 1000),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    thinned(
        ("mlflow.db", "text"),
        ("a fit", "pipe"),
        ("a journal", "folder"),
        ("optuna.db", "empty"),
        rare=itertools.product(
            ["mlflow.db", "a fit", "a journal", "an owner", "optuna.db"], SPOILED
        ),
    ),
)
def test_what_takes_the_name_of_a_file_of_the_store_is_said_in_one_line_without_hanging(
    folder, name, kind
):
    root = folder / "mlruns"
    paths = {
        "a fit": lambda: next((root / "fits").rglob("*.safetensors")),
        "a journal": lambda: next((root / "studies" / "pair").iterdir()),
        "an owner": lambda: next((root / "locks").glob("pair-*.lock")).with_suffix(".owner"),
    }
    path = paths.get(name, lambda: root / name)()
    path.unlink(missing_ok=True)
    SPOILED[kind](path)
    for words in (["study", "pair.toml", "--quiet"], ["sync", "--quiet"], ["studies"]):
        done = here(*words, folder=folder)
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 1), done.stderr
        if done.returncode:
            assert done.stderr.startswith("error: ") or "\nerror: " in done.stderr, done.stderr


def damaged(content, random_numbers):
    """Return a database with flipped bytes."""
    content = bytearray(content)
    kind = random_numbers.choice(["a few", "many", "a page", "cut", "head"])
    places = range(len(content))
    if kind == "cut":
        return bytes(content[: random_numbers.choice(places)])
    if kind == "page":
        start = random_numbers.choice(places)
        content[start : start + 4096] = random_numbers.randbytes(4096)
        return bytes(content)
    count = {"a few": 8, "many": 2000, "head": 40}.get(kind, 100)
    for place in random_numbers.choices(places if kind != "head" else range(200), k=count):
        content[place] ^= random_numbers.randrange(1, 256)
    return bytes(content)


@pytest.mark.parametrize("seed", thinned(0, 1, rare=range(2, 40)))
def test_a_database_with_flipped_bytes_works_or_is_one_line(folder, seed):
    path = folder / "mlruns" / "mlflow.db"
    path.write_bytes(damaged(path.read_bytes(), random.Random(seed)))
    begun = time.monotonic()
    try:
        bring(folder)
    except AblateError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        assert "mlflow.db'" in str(error)  # noqa: PT017
    assert time.monotonic() - begun < 60
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        path.unlink()
        bring(folder)  # as the message says
    assert set(files_of(folder)) == {"baseline", "sampler.center=0.2", "summary"}


def test_what_may_not_be_read_is_not_taken_for_absent(mortal, trained):
    user = os.geteuid()
    os.seteuid(os.getuid())
    shutil.copytree(trained / "mlruns", mortal / "mlruns")
    for path in (mortal / "mlruns").rglob("*"):
        os.chown(path, user, -1)
    os.chown(mortal / "mlruns", user, -1)
    os.seteuid(user)
    store = FitStore(Output(mortal / "mlruns", reading=True), reading=True)
    path = next((mortal / "mlruns" / "fits").rglob("*.safetensors"))
    key = path.stem
    assert key in store
    path.parent.chmod(0)
    with pytest.raises(StoreError, match="cannot be read: Permission denied"):
        store.load(key)
    with pytest.raises(StoreError, match="cannot be read: Permission denied"):
        assert key in store
    path.parent.chmod(0o755)
    for folder in (mortal / "mlruns/studies/pair", mortal / "mlruns/studies"):
        folder.chmod(0)
        with pytest.raises(StoreError, match="cannot be read: Permission denied"):
            journal.find(mortal / "mlruns", "pair")
        folder.chmod(0o755)
    (mortal / "mlruns").chmod(0)
    with pytest.raises(StoreError, match="cannot be read: Permission denied"):
        Output(mortal / "mlruns", reading=True)
    (mortal / "mlruns").chmod(0o755)


def test_fits_and_journals_can_be_read_by_whoever_the_umask_lets(folder):
    root = folder / "mlruns"
    files = [*root.glob("fits/*/*.safetensors"), *root.glob("studies/*/*.jsonl")]
    allowed = 0o666 & ~current_umask()
    assert {path.stat().st_mode & 0o777 for path in files} == {allowed}


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.slow  # eight processes
@pytest.mark.parametrize("words", [["sync"], ["report", "pair"]])
def test_a_kill_at_any_moment_leaves_a_store_that_the_same_command_makes_whole(folder, words):
    before = files_of(folder)
    (folder / "mlruns" / "mlflow.db").unlink()
    for pause in (0.5, 2.0, 4.0, 6.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "n2n_ablate", *words],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = here(*words, folder=folder)
    assert done.returncode == 0, done.stderr
    bring(folder)
    assert files_of(folder) == before
    file = folder / "mlruns" / "mlflow.db"
    assert sqlite3.connect(file).execute("pragma integrity_check").fetchone() == ("ok",)
