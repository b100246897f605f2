"""Stores that fail while a study runs: it loses nothing, waits for nobody, and is made whole later."""

import functools
import os
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.program import command, here, run, table_of
from helpers.small_study import small_study, write_photos

from n2n_ablate.report.live import Silent
from n2n_ablate.runner import background
from n2n_ablate.runner.plan_runner import Trainer
from n2n_ablate.search import database as search_database
from n2n_ablate.tracking.store import MlflowStore
from n2n_ablate.tracking.tracker import MlflowTracker

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports

STUDY = small_study("outage", '"sampler.center" = [0.0, 0.2]')
SEARCH = (
    STUDY.replace('"one-at-a-time"', '"search"')
    .replace("[0.0, 0.2]", "{ low = 0.0, high = 0.5 }")
    .replace("crop = 20", "crop = 20\ntrials = 5")
    + '[search]\nstrategy = { name = "tpe", startup = 1 }\n'
)


@pytest.fixture
def home(tmp_path):
    """A folder with a study and its image."""
    write_photos(tmp_path)
    (tmp_path / "outage.toml").write_text(STUDY)
    (tmp_path / "search.toml").write_text(SEARCH)
    return tmp_path


def runs_in(uri, root, study="outage"):
    """Return name and status of all runs of the study."""
    store = MlflowStore(root, uri)
    experiment = store.experiment_id(study)
    found = store.runs(experiment, "") if experiment else ()
    return sorted((run.info.run_name, run.info.status) for run in found)


TRIALS = ("baseline", "sampler.center=0", "sampler.center=0.2")
WHOLE = [(name, "FINISHED") for name in (*TRIALS, "summary")]


def spoken(done):
    """Return what was said, but for the lines that only a slow machine hears."""
    slow = (
        "tracking is still being written; Ctrl-C skips",
        "another process is opening the stores in",
    )
    return [line for line in done.stderr.splitlines() if not line.startswith(slow)]


LEFT = "tracking is incomplete, the results are saved"


NOT_TRACKED = 4  # the exit status


def track(home, uri, *more, study="outage.toml", status=0):
    begun = time.monotonic()
    done = here("study", study, "--tracking-uri", uri, "--quiet", *more, folder=home)
    assert done.returncode == status, done.stderr
    return done, time.monotonic() - begun


def test_a_server_that_is_not_there_costs_a_line_and_seconds(home):
    plain = here("study", "outage.toml", "--tracking", "none", "--quiet", folder=home)
    done, took = track(home, "http://me:secret@127.0.0.1:9", status=NOT_TRACKED)
    assert done.stdout.startswith(plain.stdout)
    assert took < 40  # most of it the import of MLflow on a busy machine
    hidden = "http://***@127.0.0.1:9"
    assert spoken(done) == [
        f"tracking is waiting, the study continues: MLflow's store '{hidden}' cannot be used: connection refused",
        f"{LEFT}: the same command, or n2n-ablate sync outage --tracking-uri '{hidden}', writes the rest",
    ]


@pytest.mark.postgres
def test_a_server_that_is_killed_and_started_again_lacks_nothing(home, mlflow_server, monkeypatch):
    mlflow_server.forget()
    said = dying_after_the_baseline(monkeypatch, mlflow_server.kill, mlflow_server.start)
    nothing_is_lacking(home, mlflow_server, said)


@pytest.mark.postgres
def test_a_database_behind_the_server_that_is_stopped_and_started_again_lacks_nothing(
    home, postgres, mlflow_server, monkeypatch
):
    mlflow_server.forget()
    said = dying_after_the_baseline(monkeypatch, postgres.stop, postgres.start)
    nothing_is_lacking(home, mlflow_server, said)


def nothing_is_lacking(home, server, said):
    """Run the study; its store goes away and comes back."""
    done = here("study", "outage.toml", "--tracking-uri", server.url, folder=home)
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stderr
    told = [line for line in said if line.startswith("tracking")]
    assert told[0].startswith("tracking is waiting, the study continues: ")
    assert told[-1] == "tracking continues"
    assert runs_in(server.url, home / "mlruns") == WHOLE
    again = here("sync", "--tracking-uri", server.url, folder=home)
    assert again.stdout == "outage (quick): 3 trials, 0 runs written\n"


def dying_after_the_baseline(monkeypatch, kill, start):
    """Kill a server before it is told the second trial; start it again when that was noticed.

    Returns what is said.
    """
    monkeypatch.setattr(background, "_FIRST_PAUSE", 0.2)
    said, killed, started = listening(monkeypatch), [], []
    train, trial = Trainer.train, MlflowTracker.trial_finished

    @functools.wraps(trial)
    def killing(tracker, result, so_far, samples, files):
        if tracker.written == ["baseline"] and not killed:
            killed.append(True)
            kill()
        trial(tracker, result, so_far, samples, files)

    def waiting(trainer, fits, *others):
        yield from train(trainer, fits, *others)
        wait_for(lambda: any(line.startswith("tracking is waiting") for line in said))
        if not started:
            started.append(True)
            start()

    monkeypatch.setattr(MlflowTracker, "trial_finished", killing)
    monkeypatch.setattr(Trainer, "train", waiting)
    return said


def listening(monkeypatch, heard=lambda message: None):
    """Return what will be said; `heard` is called with it at once."""
    said, note = [], Silent.note

    @functools.wraps(note)  # by its marks it is known as a hook
    def hearing(view, message):
        said.append(message)
        heard(message)
        note(view, message)

    monkeypatch.setattr(Silent, "note", hearing)
    return said


def wait_for(condition):
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def impatient(*words):
    """A process of its own, or its thread would go on beside what comes later."""
    code = "from n2n_ablate.runner import background; background._PATIENCE = 1.0; "
    return [sys.executable, "-c", f"{code}from n2n_ablate.cli import main; main()", *words]


@pytest.mark.slow
@pytest.mark.postgres
def test_a_server_that_hangs_is_left_and_synced_later(home, mlflow_server):
    mlflow_server.forget()
    words = ["study", "outage.toml", "--quiet", "--tracking-uri", mlflow_server.url]
    with mlflow_server.held_up():
        begun = time.monotonic()
        done = run(*words, folder=home, start=impatient)
    assert done.returncode == NOT_TRACKED, done.stderr
    assert time.monotonic() - begun < 60
    assert spoken(done)[-1].startswith(LEFT)
    late = here("sync", "--tracking-uri", mlflow_server.url, folder=home)
    assert late.returncode == 0, late.stderr
    assert runs_in(mlflow_server.url, home / "mlruns") == WHOLE


@pytest.mark.postgres
def test_the_same_command_completes_what_the_server_did_not_hear(home, mlflow_server):
    mlflow_server.forget()
    track(home, "http://127.0.0.1:9", status=NOT_TRACKED)
    done, _ = track(home, mlflow_server.url)
    assert spoken(done) == []
    assert runs_in(mlflow_server.url, home / "mlruns") == WHOLE


@pytest.mark.postgres
def test_a_search_database_that_is_stopped_and_started_again_costs_a_study_a_pause(
    home, postgres, monkeypatch
):
    words = ["study", "search.toml", "--tracking", "none", "--json"]
    calm = here(*words, "--output", "calm", folder=home)
    assert calm.returncode == 0, calm.stderr
    train, trained, back = Trainer.train, [], threading.Timer(2, postgres.start)

    def stopping(trainer, fits, *others):
        for result in train(trainer, fits, *others):
            trained.append(result.key)
            if len(trained) == 3:  # two of the search are to come
                postgres.stop()
                back.start()
            yield result

    monkeypatch.setattr(Trainer, "train", stopping)
    try:
        done = here(*words, "--storage", postgres.create(uuid.uuid4().hex), folder=home)
    finally:
        back.join()
    assert done.returncode == 0, done.stderr
    assert len(set(trained)) == len(trained) == 5
    assert done.stderr.count("does not answer: waiting up to 60 s") == 1
    assert "secret" not in done.stderr
    assert table_of(done) == table_of(calm)


@contextmanager
def locked(files):
    """Keep other processes from databases, as a program does that forgets to commit.

    Yields what lets go of them after so many seconds.
    """
    held = []
    for file in files:
        held.append(sqlite3.connect(file, isolation_level=None, check_same_thread=False))
        held[-1].execute("begin exclusive")

    def let_go():
        for connection in held:
            connection.execute("rollback")
            connection.close()
        held.clear()

    timers = []

    def after(seconds):
        timers.append(threading.Timer(seconds, let_go))
        timers[-1].start()

    try:
        yield after
    finally:
        for timer in timers:
            timer.join()
        let_go()


@pytest.mark.parametrize(
    "seconds", [1, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_databases_that_another_program_locks_are_waited_for(home, seconds, monkeypatch):
    environment = {"MLFLOW_TRACKING_URI": ""}
    first = here("study", "search.toml", "--trials", 2, "--quiet", folder=home, **environment)
    assert first.returncode == 0, first.stderr
    files = [home / "mlruns" / name for name in ("optuna.db", "mlflow.db")]
    with locked(files) as let_go_after:
        # Not by the clock: SQLite itself waits 5 s before anything is noticed.
        said = listening(monkeypatch, lambda line: "optuna.db" in line and let_go_after(seconds))
        done = here("study", "search.toml", "--quiet", folder=home)
    assert done.returncode == 0, done.stderr
    (waits,) = [line for line in said if "optuna.db" in line]
    assert "optuna.db' does not answer: waiting up to 60 s" in waits
    assert waits in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    names = {name for name, status in runs_in(f"sqlite:///{files[1]}", home / "mlruns")}
    statuses = {status for _, status in runs_in(f"sqlite:///{files[1]}", home / "mlruns")}
    assert len(names) == 6  # five trials and the summaries
    assert statuses == {"FINISHED"}


def test_a_search_storage_that_stays_locked_ends_the_study_and_loses_nothing(home, monkeypatch):
    first = here("study", "search.toml", "--trials", 2, "--tracking", "none", folder=home)
    assert first.returncode == 0, first.stderr
    monkeypatch.setattr(search_database, "_PATIENCE", 0.5)
    with locked([home / "mlruns" / "optuna.db"]):
        done = here("study", "search.toml", "--tracking", "none", "--quiet", folder=home)
    assert done.returncode == 1
    assert (
        "Finished fits are saved; to resume, run the same command" in done.stderr.splitlines()[-1]
    )
    again = here("study", "search.toml", "--tracking", "none", "--quiet", folder=home)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "shared", [pytest.param("beside", marks=pytest.mark.slow), "in the output folder"]
)
def test_several_studies_at_once_do_not_break_a_fresh_store(home, shared):
    for number in range(3):
        text = STUDY.replace('"outage"', f'"study-{number}"')
        (home / f"study-{number}.toml").write_text(text)
    uri = f"sqlite:///{home / 'team.db'}" if shared == "beside" else ""
    outputs = [f"out-{number}" if uri else "mlruns" for number in range(3)]
    running = [
        subprocess.Popen(
            command("study", f"study-{number}.toml", "--quiet", "--output", output)
            + (["--tracking-uri", uri] if uri else []),
            cwd=home,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, output in enumerate(outputs)
    ]
    for process in running:
        process.stdout, process.stderr = process.communicate(timeout=170)
        assert (process.returncode, spoken(process)) == (0, [])
    for number, output in enumerate(outputs):
        store = uri or f"sqlite:///{home / 'mlruns' / 'mlflow.db'}"
        assert runs_in(store, home / output, f"study-{number}") == WHOLE


@pytest.mark.postgres
@pytest.mark.parametrize("shared", [pytest.param("folder", marks=pytest.mark.slow), "search"])
def test_two_coordinators_of_one_study_do_not_both_run(home, postgres, shared):
    storage = postgres.create(uuid.uuid4().hex)
    words = ["study", "search.toml", "--tracking", "none", "--quiet", "--storage", storage]
    words += ["--set", "training.steps=1500"]
    folder = home / "mlruns" / "fits"
    with subprocess.Popen(
        command(*words), cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        try:
            wait_for(lambda: list(folder.glob("*/*.safetensors")) or first.poll() is not None)
            assert first.poll() is None
            more = ["--output", "elsewhere"] if shared == "search" else []
            second = here(*words, *more, folder=home)
        finally:
            first.kill()
    assert second.returncode == 1
    assert "study 'outage' is being run by " in second.stderr
    assert f"process {first.pid} on" in second.stderr or shared == "folder"
    assert "secret" not in second.stderr
    assert Path(home / "mlruns" / "studies").is_dir()
    # The lock dies with its owner.
    third = here(*words, *more, "--trials", 1, folder=home)
    assert third.returncode == 0, third.stderr
