"""Searches in PostgreSQL: shared by machines, owned by one process, not lost while it is away."""

import sys
import threading
import time
import uuid

import pytest

from n2n_ablate.errors import BusyError, StoreError
from n2n_ablate.redaction import redact
from n2n_ablate.search import database as search_database
from n2n_ablate.search.search import Outcome, Search
from n2n_ablate.storage.output import Output
from n2n_ablate.study import plan, read

pytestmark = pytest.mark.postgres


def run(search, count):
    places = []
    for _ in range(count):
        asked = search.ask()
        score = -((asked.values["sampler.center"] - 0.1) ** 2)
        search.tell(asked, Outcome("searched", score))
        places.append(asked.values["sampler.center"])
    return places


@pytest.fixture
def planned(tiny, registry):
    return plan(read(tiny), registry, trials=12)


@pytest.fixture
def url(postgres):
    return postgres.create(uuid.uuid4().hex)


@pytest.fixture
def opened(planned, registry, tmp_path, url):
    """Open the search, of an output folder of this name; all are closed at the end."""
    made = []

    def make(name="one", **more):
        made.append(Search(planned, Output(tmp_path / name), registry, storage=url, **more))
        return made[-1]

    yield make
    for search in made:
        search.close()


def test_a_search_goes_on_in_another_output_folder_as_if_it_had_not_been_interrupted(
    planned, registry, tmp_path, opened
):
    local = Search(planned, Output(tmp_path / "local"), registry)
    whole = run(local, 5)
    local.close()
    first = opened()
    before = run(first, 2)
    first.ask()  # and the process dies
    first.close()
    assert before + run(opened("two"), 3) == whole


def test_a_second_process_is_kept_off_until_the_first_is_gone(opened):
    first = opened()
    with pytest.raises(BusyError, match=r"'tiny' is being run by n2n-ablate, process \d+ on "):
        opened("two")
    first.close()
    opened("two").ask()


def test_several_first_openings_at_once_make_one_database(planned, tmp_path, url):
    problems = []

    def open_it(number):
        try:
            search_database.SearchDatabase(url, Output(tmp_path / str(number)), print).close()
        except Exception as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=open_it, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_server_that_is_stopped_and_started_again_costs_a_search_a_pause(
    postgres, opened, planned, registry, tmp_path
):
    local = Search(planned, Output(tmp_path / "local"), registry)
    whole = run(local, 4)
    local.close()
    said = []
    search = opened(note=said.append)
    before = run(search, 2)
    postgres.stop()
    back = threading.Timer(2, postgres.start)
    back.start()
    try:
        after = run(search, 2)
    finally:
        back.join()
    assert before + after == whole
    assert len(said) == 1
    assert "does not answer: waiting up to 60 s" in said[0]
    assert "secret" not in said[0]
    with pytest.raises(BusyError):  # the lock went with the server, and was taken again
        opened("two")


def test_a_server_that_restarts_between_two_calls_does_not_cost_the_lock(postgres, opened):
    search = opened()
    run(search, 2)
    postgres.stop()
    postgres.start()  # while fits are trained: nobody asks for anything
    asked = search.ask()
    with pytest.raises(BusyError, match=r"'tiny' is being run by n2n-ablate, process \d+ on "):
        opened("two")
    postgres.stop()
    postgres.start()
    search.tell(asked, Outcome("searched", 1.0))
    with pytest.raises(BusyError):
        opened("two")
    assert len(search.finished()) == 3


def test_who_lost_a_search_to_another_process_writes_nothing_more_into_it(postgres, opened):
    search = opened()
    asked = search.ask()
    postgres.stop()
    postgres.start()
    other = opened("two")  # before the first has noticed
    for late in (search.ask, lambda: search.tell(asked, Outcome("searched", 1.0)), search.finished):
        with pytest.raises(BusyError, match=r"with the same search storage\. Wait, or use another"):
            late()
    assert other.ask() == asked
    assert other.finished() == []
    other.close()
    search.tell(asked, Outcome("searched", 1.0))  # the other is gone: it may be had again


def test_a_server_that_stays_away_ends_the_search_in_one_line(postgres, opened, monkeypatch):
    monkeypatch.setattr(search_database, "_PATIENCE", 1.0)
    search = opened()
    kept = run(search, 2)
    asked = search.ask()
    postgres.stop()
    try:
        begun = time.monotonic()
        with pytest.raises(StoreError, match="Finished fits are saved; to resume") as caught:
            search.tell(asked, Outcome("searched", 1.0))
        assert time.monotonic() - begun < 8
    finally:
        postgres.start()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    search.close()
    again = opened()
    assert [one.values["sampler.center"] for one in again.finished()] == kept
    assert again.ask() == asked


@pytest.mark.parametrize("what", ["port", "password", "database", "driver"])
def test_a_storage_that_cannot_be_opened_is_one_line_without_the_password(
    postgres, planned, registry, tmp_path, monkeypatch, what
):
    url = {
        "port": "postgresql+psycopg://me:secret@127.0.0.1:1/none",
        "password": postgres.url(password="secret-but-wrong"),
        "database": postgres.url("nowhere"),
        "driver": postgres.url(),
    }[what]
    if what == "driver":
        monkeypatch.setitem(sys.modules, "psycopg", None)
    expected = {
        "port": "Connection refused",
        "password": "password authentication failed",
        "database": 'database "nowhere" does not exist',
        "driver": r"needs psycopg: pip install 'n2n-ablate\[postgres\]'",
    }[what]
    with pytest.raises(StoreError, match=expected) as caught:
        Search(planned, Output(tmp_path), registry, storage=url)
    assert str(caught.value).startswith("the search storage 'postgresql+psycopg://***@127.0.0.1:")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://me:secret@host/db",
        "postgresql://me:with/secret@host:1/db",
        "http://me:with@secret@host",
        "postgresql://host/db?user=me&password=secret&x=1",
    ],
)
def test_passwords_of_any_shape_are_left_out(address):
    assert "secret" not in redact(f"n2n-ablate study x --storage '{address}' --quiet")
    assert "--quiet" in redact(f"n2n-ablate study x --storage '{address}' --quiet")
