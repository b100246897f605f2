"""The doctor finds what is broken, says what to do, and changes nothing."""

import json
import socket
import sqlite3
import time
from pathlib import Path

import pytest
from helpers.program import here, run

from n2n_ablate.cli.doctor import BROKEN, NOTE, OK, WARNING, examine, host, stores
from n2n_ablate.storage.output import Output
from n2n_ablate.tracking import address


def states(found):
    return [item.state for item in found]


def only(found, topic, state):
    (item,) = [item for item in found if (item.topic, item.state) == (topic, state)]
    return item


def test_a_sound_machine_is_healthy_and_nothing_is_made(folder):
    found = examine(Path("mlruns"))
    assert BROKEN not in states(found)
    assert {item.topic for item in found} >= {
        *("n2n-ablate", "python", "packages", "device", "kernel", "plugins", "output", "disk"),
        *("databases", "tracking"),
    }
    assert all(item.advice for item in found if item.state in (WARNING, BROKEN))
    assert list(folder.iterdir()) == []


def test_json_and_table_say_the_same_and_the_exit_status_too(folder):
    whole = here("doctor", "--json", folder=folder)
    told = json.loads(whole.stdout)
    assert whole.returncode == 0
    assert told["healthy"]
    table = here("doctor", folder=folder, COLUMNS="300").stdout
    for item in told["findings"]:
        assert item["text"][:40] in table
    assert table.splitlines()[-1] == "A study can run here."
    (folder / "taken").write_text("a file")
    bad = here("doctor", "--output", "taken/x", "--json", folder=folder)
    assert bad.returncode == 1
    assert not json.loads(bad.stdout)["healthy"]


@pytest.mark.parametrize("width", ["80", "140"])
def test_it_fits_the_terminal(folder, width):
    lines = here("doctor", folder=folder, COLUMNS=width).stdout.splitlines()
    assert max(map(len, lines)) <= int(width)


def test_a_missing_package_is_broken_or_a_note_by_what_needs_it(monkeypatch):
    find = host.importlib.util.find_spec
    gone = {"safetensors", "mlflow"}
    monkeypatch.setattr(
        host.importlib.util, "find_spec", lambda name: None if name in gone else find(name)
    )
    found = examine()
    assert only(found, "packages", BROKEN).advice == "pip install safetensors"
    notes = [item.advice for item in found if (item.topic, item.state) == ("packages", NOTE)]
    assert any("--tracking none" in advice for advice in notes)
    assert "device" not in {item.topic for item in found}  # what would import it is left out


def test_plugins_that_cannot_be_loaded_are_warnings_with_file_and_line(folder):
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_text("x = 1\n1 / 0\n")
    item = only(host.plugins(None), "plugins", WARNING)
    assert "plugins/mine.py:2" in item.text
    assert "ZeroDivisionError" in item.text
    assert BROKEN in states(host.plugins(folder / "nowhere"))


def test_a_folder_that_cannot_be_written_is_broken(mortal):
    (mortal / "mine").mkdir(mode=0o500)
    for path in (mortal / "mine", mortal / "mine" / "new"):
        item = only(stores.folder(path), "output", BROKEN)
        assert f"the output folder '{path}' cannot be written: Permission" in item.text
    Output(mortal / "out")
    (mortal / "out" / "locks").chmod(0o500)
    item = only(stores.folder(mortal / "out"), "output", BROKEN)
    assert f"'{mortal / 'out' / 'locks'}' in the output folder cannot be written" in item.text


@pytest.mark.parametrize("name", ["taken/mlruns", "x" * 300])
def test_a_folder_that_cannot_be_is_broken(folder, name):
    (folder / "taken").write_text("a file")
    item = only(stores.folder(Path(name)), "output", BROKEN)
    assert "--output" in item.advice


@pytest.mark.parametrize(("free", "state"), [(10**12, OK), (2**30, WARNING), (2**20, BROKEN)])
def test_little_space_is_said_before_it_is_none(folder, monkeypatch, free, state):
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(stores.shutil, "disk_usage", lambda _: usage)
    assert only(stores.folder(folder), "disk", state)


def test_damaged_fits_and_what_a_kill_left_are_counted(folder):
    place = Output(folder).root / "fits" / "ab"
    place.mkdir()
    for name in ("abc.safetensors", "abd.damaged", ".writing-x"):
        (place / name).write_bytes(b"")
    found = list(stores.fits(folder))
    assert [(item.state, item.text[:8]) for item in found] == [
        (OK, "1 are st"),
        (WARNING, "1 were d"),
        (NOTE, "1 half-w"),
    ]


def test_a_journal_that_cannot_be_opened_is_named(folder):
    place = Output(folder).root / "studies" / "tiny"
    place.mkdir()
    (place / "quick-1.jsonl").write_text("no json at all\n")
    assert "quick-1.jsonl" in only(stores.journals(folder), "journals", WARNING).text


def test_a_lock_is_told_while_it_is_held_and_not_afterwards(folder):
    output = Output(folder)
    with output.lock("tiny-1", "busy"):
        assert "'tiny-1' is held" in only(stores.locks(folder), "locks", NOTE).text
    assert not list(stores.locks(folder))


def test_a_damaged_database_is_broken_and_a_whole_one_is_not(folder):
    Output(folder)
    one = sqlite3.connect(folder / "mlflow.db")
    one.executescript("create table a (b); insert into a values (1);")
    one.close()
    (folder / "optuna.db").write_bytes(b"no database" * 1000)
    found = list(stores.databases(folder))
    assert "mlflow.db is whole" in [item.text for item in found]
    item = only(found, "databases", BROKEN)
    assert item.text.startswith("optuna.db is damaged")
    assert "delete" in item.advice


def test_a_folder_where_a_database_should_be_is_broken(folder):
    Output(folder)
    (folder / "optuna.db").mkdir()
    (folder / "mlflow.db").symlink_to("elsewhere.db")  # SQLite would make it
    item = only(stores.databases(folder), "databases", BROKEN)
    assert item.text == "optuna.db is a folder, not a file"
    assert item.advice.startswith("move it away")


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("", None),
        ("nonsense", BROKEN),
        ("nonsense://me:secret@x/y", BROKEN),
        ("sqlite:///there.db", OK),
        ("sqlite:///new.db", NOTE),
        ("sqlite:////nowhere/at/all.db", BROKEN),
        ("sqlite:///text.db", BROKEN),
    ],
)
def test_a_storage_is_tried_and_never_made(folder, url, state):
    sqlite3.connect(folder / "there.db").close()
    (folder / "text.db").mkdir()
    before = sorted(folder.iterdir())
    found = list(stores.storage(url))
    assert states(found) == ([] if state is None else [state])
    assert not any("secret" in item.text for item in found)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("given", ["", "?connect_timeout=2"])
def test_a_database_server_that_takes_calls_and_says_nothing_is_not_waited_for(monkeypatch, given):
    pytest.importorskip("psycopg", reason="pip install 'n2n-ablate[postgres]'")
    monkeypatch.setattr(address, "_PATIENCE", 2 if not given else 600)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://me:secret@127.0.0.1:{silent.getsockname()[1]}/none{given}"
        begun = time.monotonic()
        (item,) = stores.storage(url)
        assert time.monotonic() - begun < 20
    assert item.state == BROKEN
    assert "timeout" in item.text
    assert "secret" not in item.text


def test_a_device_that_fails_is_broken(monkeypatch):
    import torch

    def fails(*_):
        msg = "CUDA error: no kernel image is available"
        raise RuntimeError(msg)

    monkeypatch.setattr(torch.nn.functional, "conv2d", fails)
    assert "no kernel image" in only(host.device(), "device", BROKEN).text


def test_the_program_runs_it(folder):
    done = run("doctor", "--storage", "nonsense", folder=folder)
    assert done.returncode == 1
    assert "1 thing is broken." in done.stdout
