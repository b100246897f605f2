"""Output that nobody can read, or that does not fit: one line at most, and no result is lost."""

import io
import json
import os
from pathlib import Path

import pytest
from helpers.program import here

from n2n_ablate.storage import journal


@pytest.fixture
def unread():
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        yield stream


@pytest.fixture
def full():
    """A file on a full disk."""
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("a device of Linux")
    with device.open("w") as stream:
        yield stream


WORDS = [["plugins"], ["plugins", "--json"], ["studies"], ["--help"], ["--version"]]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_reader_that_goes_away_is_status_141(folder, unread, words):
    done = here(*words, folder=folder, out=unread)
    assert done.returncode == 141
    assert "error" not in done.stderr


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_full_disk_under_the_output_is_one_line(folder, full, words):
    done = here(*words, folder=folder, out=full)
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


def test_nothing_of_a_study_is_lost_with_its_readers(tiny, folder, unread):
    words = ("study", tiny, "--tracking", "none", "--set", "training.steps=2", "--device", "cpu")
    unheard = here(*words, "--json", folder=folder, err=unread)
    assert unheard.returncode == 0
    assert json.loads(unheard.stdout)["fits"]["total"] == 8
    assert here(*words, folder=folder, out=unread).returncode == 141
    (file,) = folder.glob("mlruns/studies/tiny/*.jsonl")
    assert [command.status for command in journal.read(file).commands.values()] == ["finished"] * 2
    assert json.loads(here(*words, "--json", folder=folder).stdout)["fits"]["cached"] == 8


@pytest.mark.parametrize(
    ("encoding", "errors", "said"),
    [
        ("ascii", "strict", "20 ? 5 dB"),
        ("ascii", "surrogateescape", "20 ? 5 dB"),
        ("latin-1", "strict", "20 \u00b1 5 dB"),
        ("utf-8", "strict", "20 \u00b1 5 dB"),
    ],
)
def test_what_an_encoding_lacks_costs_no_result(tiny, folder, encoding, errors, said):
    text = tiny.read_text().replace("Does the centre matter?", "20 \u00b1 5 dB?")
    tiny.write_text(text, encoding="utf-8")
    held = io.BytesIO()
    with io.TextIOWrapper(held, encoding, errors) as out:
        done = here("plan", tiny, folder=folder, out=out)
        assert done.returncode == 0, done.stderr
        assert said in held.getvalue().decode(encoding)
