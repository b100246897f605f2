"""A full disk ends a study in order, with a message; with room made, the same study goes on."""

import contextlib
import io
import subprocess

import pytest
from helpers.program import here
from rich.console import Console

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.errors import StoreError
from n2n_ablate.locks import opening
from n2n_ablate.report.live import Silent
from n2n_ablate.report.text.study import cached_text
from n2n_ablate.runner.run import open_runner
from n2n_ablate.runner.session import Request, RunOptions, open_session
from n2n_ablate.storage.output import Output

SIZE = 2 << 20


NAMES = 150


class Disk:
    """A disk of 2 MB and 150 names in memory, which can be filled but for so many bytes."""

    def __init__(self, folder):
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, *, but):
        free = SIZE - sum(
            -(-path.stat().st_size // 4096) * 4096
            for path in self.folder.rglob("*")
            if path.is_file()
        )
        self._filler.write_bytes(b"\0" * max(0, free - but))

    def use_up_names(self):
        (self.folder / "names").mkdir()
        with contextlib.suppress(OSError):
            for place in range(NAMES):
                (self.folder / "names" / str(place)).touch()

    def make_room(self):
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},nr_inodes={NAMES}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount` here")
    if done.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def runner_of(tiny, disk, trials):
    session = open_session(
        Request(study=str(tiny), trials=trials, settings=["training.steps=3", "backbone.width=4"])
    )
    return open_runner(
        session,
        Output(disk.folder / "out"),
        Silent(Console(file=io.StringIO())),
        RunOptions(tracking="none"),
    )


def test_a_study_goes_on_when_there_is_room_again(tiny, disk):
    runner = runner_of(tiny, disk, 3)
    disk.fill(but=36_000)
    with pytest.raises(StoreError, match=r"cannot be written.*No space left on device"):
        runner.run()
    kept = {path: path.stat().st_ino for path in disk.folder.glob("out/fits/*/*.safetensors")}
    assert 0 < len(kept) < 6
    assert not list(disk.folder.glob("out/fits/*/.writing-*"))
    disk.make_room()
    again = runner_of(tiny, disk, 3)
    result = again.run()
    assert again.trained == 6 - len(kept)
    assert cached_text(analyse(result)) == f"{len(kept)} of 6 fits were cached."
    assert all(path.stat().st_ino == number for path, number in kept.items())


def test_a_search_that_cannot_be_written_is_one_line(tiny, disk):
    runner = runner_of(tiny, disk, 4)
    disk.fill(but=0)
    with pytest.raises(StoreError, match=r"cannot be used: .*full"):
        runner.search.ask()
    disk.make_room()
    assert runner.search.ask().values


def test_a_new_study_on_a_full_disk_is_one_line(tiny, disk):
    session = open_session(Request(study=str(tiny), trials=1))
    output, view = Output(disk.folder / "out"), Silent(Console(file=io.StringIO()))
    disk.use_up_names()
    told = r"cannot be (written|taken): No space left on device"
    with pytest.raises(StoreError, match=f"the journal .* {told}"):
        open_runner(session, output, view, RunOptions(tracking="none"))
    for lock in (output.lock(session.lock_name, "busy"), opening(output.root, print)):
        with pytest.raises(StoreError, match=f"the lock .* {told}"), lock:
            pass
    out = disk.folder / "out"
    done = here("study", tiny, "--tracking", "none", "--output", out, folder=tiny.parent)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: the output folder '{out}' cannot be written: No space left")


def test_a_disk_that_is_read_only_now_is_one_line(tiny, disk):
    output = Output(disk.folder / "out")
    remount = ["mount", "-o", "remount,ro", str(disk.folder)]
    subprocess.run(remount, check=True)
    with pytest.raises(StoreError, match="cannot be written: Read-only file system"):
        Output(disk.folder / "out")
    with pytest.raises(StoreError, match="taken: Read-only"), output.lock("study", "busy"):
        pass
    Output(disk.folder / "out", reading=True)
