"""Where runs are kept, and every way in which that can go wrong before the first one is written."""

import contextlib
import random
import sqlite3

import pytest

from n2n_ablate.cli.doctor import BROKEN, WARNING, stores
from n2n_ablate.databases import sqlite_file
from n2n_ablate.errors import StoreError, StoreUnavailableError
from n2n_ablate.storage.output import Output
from n2n_ablate.tracking.address import chart_link, tracking_uri
from n2n_ablate.tracking.store import MlflowStore

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """An empty database. Making one takes seconds, copying it none."""
    output = Output(tmp_path_factory.mktemp("empty"))
    assert MlflowStore(output.root, tracking_uri(output.root)).experiment_id("any") is None
    return sqlite_file(tracking_uri(output.root)).read_bytes()


@pytest.fixture
def store(tmp_path, empty_store, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    output = Output(tmp_path / "out")
    file = output.root / "mlflow.db"
    file.write_bytes(empty_store)
    return MlflowStore(output.root, f"sqlite:///{file}")


def test_files_are_kept_in_the_output_folder_whatever_the_working_folder(store, folder):
    made = store.client.get_experiment(store.experiment("tiny", "Why?"))
    assert made.artifact_location == (folder / "out" / "artifacts" / "tiny").as_uri()
    assert made.tags["mlflow.note.content"] == "Why?"
    assert [path.name for path in folder.iterdir()] == ["out"]


def test_a_database_that_was_being_made_when_its_process_died_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    output = Output(tmp_path / "50% what?")
    file = sqlite_file(tracking_uri(output.root))
    half = file.with_name("mlflow.db.new")
    with contextlib.closing(sqlite3.connect(half)) as database:
        database.execute("CREATE TABLE registered_model_tags (name TEXT)")
    again = MlflowStore(output.root, tracking_uri(output.root))
    assert again.experiment("tiny", "")
    assert file.is_file()
    assert not half.exists()


def test_an_experiment_in_the_bin_is_brought_back(store):
    number = store.experiment("tiny", "")
    store.client.delete_experiment(number)
    assert store.experiment("tiny", "") == number
    assert store.client.get_experiment(number).lifecycle_stage == "active"


def test_an_output_folder_that_was_moved_is_an_error_that_says_what_to_do(store, tmp_path):
    store.experiment("tiny", "")
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    again = MlflowStore(moved, tracking_uri(moved))
    with pytest.raises(StoreError, match=r"was the output folder moved\? Delete '.*mlflow\.db'"):
        again.experiment("tiny", "")


def test_the_doctor_sees_that_an_output_folder_was_moved(store, tmp_path):
    name = "käse #1 100%"
    store.experiment(name, "")
    store.experiment("of somebody else", "")
    (tmp_path / "out" / "studies" / name).mkdir()
    assert list(stores.experiments(tmp_path / "out")) == []
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    (found,) = stores.experiments(moved)
    assert found.state == WARNING
    place = tmp_path / "out" / "artifacts" / name
    assert f"'{name}' in '{place}', outside '{moved}': was the output folder moved?" in found.text
    assert found.advice.startswith(f"delete '{moved / 'mlflow.db'}': n2n-ablate sync")


@pytest.mark.parametrize("damage", ["noise", "half"])
def test_a_damaged_database_is_one_line_with_the_doctors_remedy(store, damage):
    file = sqlite_file(store.uri)
    whole = file.read_bytes()
    file.write_bytes(random.Random(0).randbytes(3000) if damage == "noise" else whole[:150_000])
    with pytest.raises(StoreError) as caught:
        store.experiment("tiny", "")
    assert not isinstance(caught.value, StoreUnavailableError)  # trying again would not help
    assert str(caught.value).startswith(f"'{file}' is damaged: ")
    (found,) = [item for item in stores.databases(file.parent) if item.state == BROKEN]
    remedy = "n2n-ablate sync makes it anew from the journals, without training"
    assert f"Delete it: {remedy}." in str(caught.value)
    assert remedy in found.advice


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("postgresql://me:secret@127.0.0.1:1/none", r"'postgresql://\*\*\*@127.0.0.1:1/none'"),
        ("file:///tmp/files", "maintenance mode"),
        ("carrier-pigeon://roof", "carrier-pigeon"),
    ],
)
def test_a_store_that_cannot_be_opened_is_one_line_without_the_password(tmp_path, uri, message):
    with pytest.raises(StoreError, match=message) as caught:
        MlflowStore(tmp_path, uri).experiment("tiny", "")
    assert str(caught.value).startswith("MLflow's store '")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_store_is_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert tracking_uri(tmp_path) == "http://there"
    assert tracking_uri(tmp_path, "sqlite:///x.db") == "sqlite:///x.db"


def test_a_folder_may_have_any_name(tmp_path, monkeypatch, empty_store):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    output = Output(tmp_path / "50%20 of #1, what?")
    file = output.root / "mlflow.db"
    assert sqlite_file(tracking_uri(output.root)) == file
    file.write_bytes(empty_store)
    MlflowStore(output.root, tracking_uri(output.root)).experiment("tiny", "")
    assert b"tiny" in file.read_bytes()
    assert list(tmp_path.iterdir()) == [output.root]  # MLflow would make `50%2520...` beside it


def test_the_link_has_the_queries_without_which_mlflow_shows_another_page():
    plain = "http://there/#/experiments/7/runs?workflowType=machine_learning&compareRunsMode=CHART"
    assert chart_link("http://there/", "7") == plain
    whole = chart_link("http://there", "7", "metrics.`psnr` DESC", "ab12")
    assert whole == (
        f"{plain}&orderByKey=metrics.%60psnr%60&orderByAsc=false"
        "&searchFilter=tags.%60n2n.plan%60%20%3D%20%27ab12%27"
    )
