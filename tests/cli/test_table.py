"""The table of a study from its stored results, and while it runs in another process."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.program import command, here, run
from helpers.small_study import small_study, write_photos

from n2n_ablate.storage.output import this_process


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    write_photos(folder)
    (folder / "pair.toml").write_text(small_study("pair", '"sampler.center" = [0.2]'))
    done = here("study", "pair.toml", "--quiet", "--tracking", "none", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "printed").write_text(done.stdout)
    return folder


def test_the_table_is_the_one_that_the_study_printed(home):
    done = here("table", "pair", folder=home)
    assert done.stdout == (home / "printed").read_text()
    assert json.loads(here("table", "pair", "--json", folder=home).stdout)["study"] == "pair"


def test_a_finished_study_is_shown_and_not_waited_for(home):
    done = here("table", "pair", "--watch", folder=home)
    first, second, last = done.stdout.splitlines()
    assert first.startswith("baseline  ")
    assert second.startswith("sampler.center=0.2  ")
    assert " dB (" in second
    assert last == "2 of 2 trials: finished"


def test_json_is_not_watched(home):
    done = here("table", "pair", "--watch", "--json", folder=home)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "--watch prints for people" in done.stderr


def unfinished(home, folder, owner):
    """A copy of the study as it is while its command runs, or after that was killed."""
    (folder / "mlruns" / "locks").mkdir(parents=True)
    for name in ("fits", "studies"):
        (folder / "mlruns" / name).symlink_to(home / "mlruns" / name)
    (folder / "mlruns" / "studies").unlink()
    (source,) = (home / "mlruns" / "studies" / "pair").iterdir()
    journal = folder / "mlruns" / "studies" / "pair" / source.name
    journal.parent.mkdir(parents=True)
    lines = source.read_text().splitlines(keepends=True)
    cut = [line for line in lines if '"line": "end"' not in line and '"0.2"' not in line]
    journal.write_text("".join(cut))
    if owner:
        key = source.stem.rpartition("-")[2]
        (folder / "mlruns" / "locks" / f"pair-{key}.owner").write_text(owner)
    return journal, [line for line in lines if line not in cut]


@pytest.mark.parametrize("how", ["no owner", "a dead one"])
def test_watching_ends_with_a_study_that_was_killed(home, tmp_path, how):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owner = this_process().replace(str(os.getpid()), str(gone.pid)) if how == "a dead one" else ""
    unfinished(home, tmp_path, owner)
    done = here("table", "pair", "--watch", "--quiet", folder=tmp_path)
    assert done.stdout.splitlines()[-1].endswith(": killed")
    assert done.returncode == 0


def test_a_running_study_is_followed_without_torch_and_ctrl_c_ends_the_watching(home, tmp_path):
    journal, rest = unfinished(home, tmp_path, this_process())
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's job may ignore it
        "from n2n_ablate.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print('torch' in sys.modules, file=sys.stderr)\n"
    )
    watching = subprocess.Popen(
        [sys.executable, "-c", code, "table", "pair", "--watch", "--quiet"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout.readline().startswith("baseline  ")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mlruns").rglob("*")}
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert err == "False\n"
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "mlruns").rglob("*")}
    assert all("baseline" not in line for line in out.splitlines())
    with journal.open("a") as file:  # the study goes on and ends
        file.writelines(rest)
    done = here("table", "pair", "--watch", "--quiet", folder=tmp_path)
    assert done.stdout.splitlines()[-1] == "2 of 2 trials: finished"


@pytest.mark.slow
def test_a_study_in_another_process_is_watched_to_its_end(home, tmp_path):
    for name in ("photos", "pair.toml"):
        (tmp_path / name).symlink_to(home / name)
    words = command(
        "study", "pair.toml", "--quiet", "--tracking", "none", "--set", "training.steps=3000"
    )
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL) as study:
        deadline = time.monotonic() + 100
        while not list((tmp_path / "mlruns").glob("studies/pair/*.jsonl")):
            assert study.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        done = run("table", "pair", "--watch", "--quiet", folder=tmp_path)
        assert study.wait(60) == 0
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        "baseline",
        "sampler.center=0.2",
        "2 of 2 trials: finished",
    ]
