"""A study is run without MLflow and brought into it later: nothing is missing, nothing is doubled."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from helpers.program import command, here
from helpers.small_study import small_study, write_photos

from n2n_ablate.databases import sqlite_file
from n2n_ablate.errors import StoreError
from n2n_ablate.registry import Registry
from n2n_ablate.runner.replay import sync
from n2n_ablate.storage import reopen
from n2n_ablate.storage.output import Output, this_process
from n2n_ablate.tracking import store as mlflow_store
from n2n_ablate.tracking.address import tracking_uri
from n2n_ablate.tracking.store import MlflowStore

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports

GRID = small_study(
    "grid",
    '"sampler.center" = [0.0, 0.2]',
    '"loss.symmetric" = [true, false]',
    design="grid",
    steps=8,
)
# What rightly differs between a run that was tracked directly and one that was synced later.
OWN = {"invocation", "n2n.pid", "mlflow.source.name"}


def told(root, uri=""):
    """Everything that MLflow has of the study, by name of the run."""
    store = MlflowStore(root, uri or tracking_uri(root))
    client = store.client
    found = {}
    for one in store.runs(store.experiment_id("grid"), ""):
        assert one.info.run_name not in found, "doubled"
        found[one.info.run_name] = {
            "id": one.info.run_id,
            "status": one.info.status,
            "params": one.data.params,
            "tags": {key: value for key, value in one.data.tags.items() if key not in OWN},
            "curves": {
                name: [
                    (point.step, point.value)
                    for point in client.get_metric_history(one.info.run_id, name)
                ]
                for name in one.data.metrics
            },
            "files": files_of(client, one, root),
        }
    return found


def files_of(client, run, root):
    """Return the files of a run; a server hands them through."""
    place = run.info.artifact_uri
    if place.startswith("mlflow-artifacts:"):
        with tempfile.TemporaryDirectory() as copy:
            client.download_artifacts(run.info.run_id, "", copy)
            return contents_of(Path(copy))
    files = Path(place.removeprefix("file://"))
    assert files.is_relative_to(root)
    return contents_of(files)


def contents_of(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def without_ids(runs):
    return {
        name: {key: value for key, value in one.items() if key != "id"}
        for name, one in runs.items()
    }


def ids(runs):
    return {name: one["id"] for name, one in runs.items()}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """An empty database. Making one takes seconds, copying it none."""
    root = tmp_path_factory.mktemp("empty")
    MlflowStore(root, tracking_uri(root)).experiment_id("any")
    return sqlite_file(tracking_uri(root)).read_bytes()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder in which the study was run with `--tracking none`, as on a bare machine."""
    folder = tmp_path_factory.mktemp("gpu-box")
    write_photos(folder, "one", "two")
    (folder / "grid.toml").write_text(GRID)
    done = here("study", "grid.toml", "--tracking", "none", "--quiet", folder=folder)
    assert done.returncode == 0, done.stderr
    assert not (folder / "mlruns" / "mlflow.db").exists()
    return folder


@pytest.fixture
def copy(home, tmp_path, empty_store, monkeypatch):
    """Return a copy of the output folder, with an empty database, somewhere else."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def make(name):
        shutil.copytree(home / "mlruns", tmp_path / name / "mlruns")
        (tmp_path / name / "mlruns" / "mlflow.db").write_bytes(empty_store)
        return tmp_path / name / "mlruns"

    return make


def bring(root, images=(), uri=""):
    """Sync in this process."""
    (contents,) = reopen.every(root)
    return sync(contents, Output(root), Registry(), images=images, uri=uri)


@pytest.fixture(
    params=["sqlite", pytest.param("server", marks=[pytest.mark.postgres, pytest.mark.slow])]
)
def uri(request):
    """Where a test brings its study: a database of its own, empty for that, or a team's server."""
    if request.param == "sqlite":
        return ""
    server = request.getfixturevalue("mlflow_server")
    server.forget()
    return server.url


def test_synced_runs_are_those_of_a_study_that_was_tracked_and_twice_changes_nothing(home, copy):
    root = copy("later")
    assert here("sync", folder=root.parent).stdout == "grid (quick): 5 trials, 6 runs written\n"
    synced = told(root)
    assert len(synced) == 6
    again = here("sync", "grid", "--json", folder=root.parent)
    (said,) = json.loads(again.stdout)
    assert said["written"] == 0
    (listed,) = json.loads(here("studies", "grid", "--json", folder=root.parent).stdout)
    assert said["run"] == listed["run"]
    assert {run["tags"]["n2n.plan"] for run in synced.values()} == {listed["plan"]}
    assert told(root) == synced

    direct = copy("directly")
    shutil.rmtree(direct / "studies")  # the fits alone: the study is run again, with MLflow
    for name in ("photos", "grid.toml"):
        (direct.parent / name).symlink_to(home / name)
    done = here("study", "grid.toml", "--json", folder=direct.parent)
    assert json.loads(done.stdout)["fits"]["cached"] == 10
    tracked = told(direct)
    assert without_ids(tracked) == without_ids(synced)
    assert any(name.endswith("contact_sheet.png") for name in synced["baseline"]["files"])
    assert len(synced["baseline"]["curves"]["per-image/psnr.one"]) > 5
    # A study that was tracked has nothing to be synced.
    assert bring(direct).written == 0
    assert told(direct) == tracked


@pytest.mark.postgres
def test_a_server_is_told_what_a_database_of_ones_own_is(copy, mlflow_server):
    mlflow_server.forget()
    own, root = copy("own"), copy("server")
    bring(own)
    done = here("sync", "--tracking-uri", mlflow_server.url, folder=root.parent)
    assert done.stdout == "grid (quick): 5 trials, 6 runs written\n"
    found = told(root, mlflow_server.url)
    assert without_ids(found) == without_ids(told(own))
    assert bring(root, uri=mlflow_server.url).written == 0
    assert told(root, mlflow_server.url) == found


def test_a_sync_that_was_killed_is_completed_and_leaves_no_run_running(home, copy):
    whole = copy("whole")
    bring(whole)
    root = copy("half")
    with subprocess.Popen(command("sync"), cwd=root.parent, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 100
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            with sqlite3.connect(root / "mlflow.db") as database:
                rows = database.execute("select status from runs").fetchall()
            if len(rows) >= 2:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = bring(root)
    assert 2 <= done.written <= 5
    found = told(root)
    assert without_ids(found) == without_ids(told(whole))
    assert {one["status"] for one in found.values()} == {"FINISHED"}


@pytest.mark.parametrize("tag", ["n2n.pid", "n2n.host"])
def test_a_study_that_was_killed_while_it_was_tracked_is_repaired(copy, uri, tag):
    """Its process is gone; or its machine has another name now, as a container has."""
    root = copy("killed")
    (journal,) = (root / "studies" / "grid").iterdir()
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"line": "end"' not in line))
    bring(root, uri=uri)
    store = MlflowStore(root, uri or tracking_uri(root))
    before = told(root, uri)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in ("summary", "baseline"):  # as kill -9 leaves them
        store.client.update_run(before[name]["id"], status="RUNNING")
        left = {"n2n.pid": str(gone.pid), "n2n.host": "0123456789ab"}[tag]
        store.client.set_tag(before[name]["id"], tag, left)
    store.client.delete_tag(before["summary"]["id"], "status")
    assert bring(root, uri=uri).repaired == 2
    after = told(root, uri)
    assert after["baseline"]["status"] == "FINISHED"
    assert after["summary"]["status"] == "KILLED"
    assert after["summary"]["tags"]["status"] == "killed"
    assert after["summary"]["id"] == before["summary"]["id"]
    assert bring(root, uri=uri).written == 0


def test_images_that_live_elsewhere_now_are_told_and_added_later(home, copy, tmp_path, uri):
    whole = copy("whole")
    bring(whole)
    root = copy("home")
    (journal,) = (root / "studies" / "grid").iterdir()
    text = journal.read_text()
    assert str(home) in text
    journal.write_text(text.replace(str(home), "/nowhere"))
    first = bring(root, uri=uri)
    assert first.problems[0].startswith("clean images not found: one, two ('/nowhere/photos'")
    without = told(root, uri)
    assert without["baseline"]["tags"]["n2n.pictures"] == "0 of 2"
    assert "images/contact_sheet.png" in without["baseline"]["files"]
    assert bring(root, uri=uri).written == 0
    attic = tmp_path / "attic"
    attic.mkdir()
    shutil.copy(home / "photos" / "one.png", attic / "first.png")
    shutil.copy(home / "photos" / "two.png", attic / "second.png")
    done = bring(root, images=[str(attic)], uri=uri)
    assert done.problems == ()
    after = told(root, uri)
    assert ids(after) == ids(without)
    assert {one["tags"].pop("n2n.pictures", "") for one in after.values()} == {""}
    assert without_ids(after) == without_ids(told(whole))


def test_fits_that_are_lost_are_said_and_do_not_spoil_a_run_that_is_there(copy, uri):
    root = copy("lost")
    bring(root, uri=uri)
    before = told(root, uri)
    found = reopen.reopen(root, "grid")
    found.store.path(found.result.trials[1].rows[0].result.key).unlink()
    done = bring(root, uri=uri)
    assert "1 of 10 fits have no stored result (1 missing)" in done.problems[0]
    assert (
        told(root, uri)[found.result.trials[1].trial.name]
        == before[found.result.trials[1].trial.name]
    )


def test_a_stored_image_that_is_damaged_costs_its_picture_and_is_said(copy):
    root = copy("damaged")
    found = reopen.reopen(root, "grid")
    path = found.store.path(found.result.trials[1].rows[0].result.key)
    content = bytearray(path.read_bytes())
    content[-7] ^= 1  # the last bytes are the image's
    path.write_bytes(content)
    done = bring(root)
    (problem,) = done.problems
    assert problem.startswith(f"stored images that are damaged and left out: '{path}'. Delete")
    runs = told(root)
    assert {one["status"] for one in runs.values()} == {"FINISHED"}
    assert runs[found.result.trials[1].trial.name]["curves"]["per-image/psnr.one"]
    assert path.exists()


def test_more_runs_than_one_page_are_all_seen(copy, monkeypatch, uri):
    root = copy("pages")
    bring(root, uri=uri)
    before = told(root, uri)
    monkeypatch.setattr(mlflow_store, "_PAGE", 2)
    assert bring(root, uri=uri).written == 0
    assert told(root, uri) == before


def test_a_database_that_was_copied_along_is_refused_not_written_past(copy, tmp_path):
    root = copy("first")
    bring(root)
    second = tmp_path / "second" / "mlruns"
    shutil.copytree(root, second)
    with pytest.raises(StoreError, match=r"was the output folder moved\? Delete .*n2n-ablate sync"):
        bring(second)
    assert len(told(root)) == 6


def test_a_journal_that_cannot_be_opened_does_not_keep_the_others_back(copy):
    root = copy("mixed")
    (root / "studies" / "ancient").mkdir()
    (root / "studies" / "ancient" / "quick-0123456789.jsonl").write_text('{"name": "baseline"}\n')
    done = here("sync", folder=root.parent)
    assert done.returncode == 1
    assert "ancient/quick-0123456789.jsonl' cannot be opened: it has no header" in done.stderr
    assert done.stdout == "grid (quick): 5 trials, 6 runs written\n"


def test_a_study_that_mlflow_refuses_does_not_keep_the_others_back(copy):
    root = copy("several")
    for name in ("a-first", "z-last"):
        shutil.copytree(root / "studies" / "grid", root / "studies" / name)
        for journal in (root / "studies" / name).iterdir():
            text = journal.read_text()
            assert r"name = \"grid\"" in text
            journal.write_text(text.replace(r"name = \"grid\"", rf"name = \"{name}\""))
    store = MlflowStore(root, tracking_uri(root))
    store.client.create_experiment("a-first", (root.parent / "elsewhere" / "a-first").as_uri())
    done = here("sync", folder=root.parent)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: MLflow keeps the pictures of 'a-first' in ")
    assert done.stdout.splitlines() == [
        "grid (quick): 5 trials, 6 runs written",
        "z-last (quick): 5 trials, 6 runs written",
    ]


def test_what_is_wrong_with_the_store_itself_is_said_once(copy):
    root = copy("damaged-store")
    shutil.copytree(root / "studies" / "grid", root / "studies" / "other")
    (root / "mlflow.db").write_bytes(b"no database" * 1000)
    done = here("sync", folder=root.parent)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: '{root / 'mlflow.db'}' is damaged: ")


def test_a_study_that_is_being_run_is_left_for_later(copy):
    root = copy("busy")
    (contents,) = reopen.every(root)
    with Output(root).lock(f"grid-{contents.key}", "unused"):
        done = here("sync", folder=root.parent)
    assert done.returncode == 1
    assert f"error: study 'grid' is being run by {this_process()} in" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sync", "gird"], "study 'gird' has not been run in 'mlruns'. Did you mean 'grid'"),
        (["sync", "grid", "--profile", "paper"], "was not run with profile 'paper'. Known: quick"),
        (["sync", "--output", "empty"], "no study has been run in 'empty'"),
        (["sync", "--tracking-uri", "http://127.0.0.1:9"], "MLflow's store 'http://127.0.0.1:9'"),
    ],
)
def test_a_mistake_is_one_line(copy, words, message):
    done = here(*words, folder=copy("mistakes").parent)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
