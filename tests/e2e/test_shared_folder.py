"""One output folder and several hosts, several versions of the program, and a clock that is set back."""

import json
import os
import platform
import socket
import time

import pytest
from helpers.program import here

from n2n_ablate.files import temporary_name
from n2n_ablate.storage import journal, journal_writer
from n2n_ablate.storage.output import Output

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports

WORDS = ("study", "tiny.toml", "--tracking", "none", "--trials", "2", "--crop", "16", "--json")
WORDS += ("--set", "training.steps=2")


@pytest.fixture
def home(tiny):
    return tiny.parent


def study(home, *words):
    done = here(*WORDS, *words, folder=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def trained(told):
    return told["fits"]["total"] - told["fits"]["cached"]


def of_version(patch, number):
    for module in (journal, journal_writer):
        patch.setattr(module, "FORMAT", number)


def test_hosts_that_share_a_folder_name_each_other_and_leave_each_other_alone(home, monkeypatch):
    study(home)
    (contents,) = journal.find(home / "mlruns", "tiny")
    monkeypatch.setattr(socket, "gethostname", lambda: "left")
    monkeypatch.setattr(platform, "node", lambda: "left")
    monkeypatch.setattr("n2n_ablate.files.gethostname", lambda: "left")
    half = home / "mlruns" / "fits" / temporary_name(".safetensors")
    half.write_text("half")
    with Output(home / "mlruns").lock(f"tiny-{contents.key}", "unused"):
        monkeypatch.setattr("n2n_ablate.files.gethostname", lambda: "right")
        monkeypatch.setattr(platform, "node", lambda: "right")
        # A process of this number lives here; the file is one of another host's all the same.
        monkeypatch.setattr("n2n_ablate.files.process_is_gone", lambda _: True)
        busy = here(*WORDS, folder=home)
        assert busy.returncode == 1
        owner = f"being run by n2n-ablate, process {os.getpid()} on left"
        assert owner in busy.stderr
        assert trained(study(home, "--seeds", "2")) > 0  # another run of it
    assert half.exists()
    monkeypatch.setattr("n2n_ablate.files.gethostname", lambda: "left")
    study(home)
    assert not half.exists()


def test_an_older_program_reads_what_it_can_and_loses_nothing_of_a_newer_one(home, monkeypatch):
    with monkeypatch.context() as newer:
        of_version(newer, journal.FORMAT + 1)
        table = study(home)["conditions"]
    (path,) = (home / "mlruns" / "studies" / "tiny").iterdir()
    written = path.read_bytes()
    for words in (("report", "tiny"), ("best", "tiny")):
        done = here(*words, folder=home)
        assert done.returncode == 1
        assert "it was written by a newer version of n2n-ablate" in done.stderr
    (run,) = json.loads(here("studies", "tiny", "--json", folder=home).stdout)
    assert "a newer version" in run["problem"]
    shown = here("studies", "tiny", folder=home).stdout
    assert "a newer version" in " ".join(shown.split())
    assert path.read_bytes() == written
    for version in (journal.FORMAT, journal.FORMAT + 1, journal.FORMAT):
        with monkeypatch.context() as other:
            of_version(other, version)
            again = study(home)
            assert trained(again) == 0
            assert again["conditions"] == table
        assert path.read_bytes().startswith(written)


def test_a_clock_that_is_set_back_costs_nothing(home, monkeypatch):
    table = study(home)["conditions"]
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 100 * 24 * 3600)
    again = study(home)
    assert trained(again) == 0
    assert again["conditions"] == table
    more = study(home, "--seeds", "2")
    assert trained(more) > 0
    for words in (("report", "tiny", "-f", "json", "--no-diagnostics"), ("studies", "tiny")):
        done = here(*words, folder=home)
        assert done.returncode == 0, done.stderr
    synced = here("sync", folder=home)
    assert synced.returncode == 0, synced.stderr
    assert synced.stdout.count("runs written") == 2
    assert here("cache", "--remove-unused", folder=home).returncode == 0
    assert trained(study(home)) == trained(study(home, "--seeds", "2")) == 0
