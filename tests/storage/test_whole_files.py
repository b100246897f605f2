"""Files that are written for a user: whole or not at all, under the umask, whatever they are called."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image as Picture

from n2n_ablate import files, images
from n2n_ablate.errors import ImageError, StoreError
from n2n_ablate.files import read_file, remove_leftovers, replacing, write_whole
from n2n_ablate.storage.output import Output

NAMES = [
    "plain", "with space", "100%20", "what?", "a#b", "a&b=c", "new\nline", "tab\there", "ünï☃",
    "-dash", "~", "$HOME", "quote'\"s", "semi;colon", "file:x", "user@host:1", "a" * 200, ".hidden",
    "back\\slash", "[glob]*", "\x1b[31mred", "e\u0301", "trailing ", "mlflow.db",
]  # fmt: skip


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def temporary_files(folder):
    return [path for path in folder.rglob("*") if files.is_temporary(path)]


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o027, 0o077])
def test_a_new_file_follows_the_umask_and_a_replaced_one_keeps_its_permissions(tmp_path, mask):
    old = os.umask(mask)
    try:
        write_whole(tmp_path / "new", "text")
        kept = tmp_path / "kept"
        kept.write_text("old")
        kept.chmod(0o640)
        write_whole(kept, "new")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert kept.read_text() == "new"


@pytest.mark.parametrize("call", ["write", "flush", "rename"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), KeyboardInterrupt(), MemoryError()]
)
def test_the_old_file_stays_whatever_fails(tmp_path, monkeypatch, call, error):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def fail(*_):
        raise error

    if call == "flush":
        monkeypatch.setattr(os, "fsync", fail)
    if call == "rename":
        monkeypatch.setattr(os, "replace", fail)

    def write():
        with replacing(path) as made:
            made.write_bytes(b"half")
            if call == "write":
                fail()

    with pytest.raises(type(error)):
        write()
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["picture.png"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_an_image_goes_into_any_folder_under_any_name(tmp_path, name, suffix):
    path = tmp_path / name / f"{name}{suffix}"
    images.write(path, torch.full((1, 1, 4, 5), 0.5))
    with Picture.open(path) as picture:
        assert picture.size == (5, 4)
    assert names_in(path.parent) == [path.name]


def test_an_image_whose_disk_fills_leaves_the_old_one_even_if_it_is_the_input(
    tmp_path, monkeypatch
):
    path = tmp_path / "noisy.png"
    images.write(path, torch.rand(1, 3, 8, 8))
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ImageError, match=r"noisy.png' cannot be written: No space left"):
        images.write(path, torch.zeros(1, 3, 8, 8))
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["noisy.png"]


def test_a_link_stays_a_link_and_what_it_points_to_is_replaced(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    (tmp_path / "open").symlink_to(tmp_path / "not-yet")
    write_whole(tmp_path / "open", "made")
    assert (tmp_path / "not-yet").read_text() == "made"


def test_a_circle_of_links_is_an_error(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a", "x")
    with pytest.raises(StoreError, match="cannot be used"):
        Output(tmp_path / "a")


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name, why in (("pipe.png", "pipe"), ("folder.png", "folder")):
        with pytest.raises(OSError, match=f"is a {why}, not a file"):
            write_whole(tmp_path / name, "x")
        with pytest.raises(OSError, match=f"is a {why}, not a file"):
            read_file(tmp_path / name)
        with pytest.raises(ImageError, match="give a file in a folder"):
            images.check_writable(tmp_path / name)
    assert names_in(tmp_path) == ["folder.png", "pipe.png"]


def test_a_file_that_must_be_new_is_not_replaced(tmp_path):
    write_whole(tmp_path / "one", "old", keep_old=True)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "one", "new", keep_old=True)
    assert (tmp_path / "one").read_text() == "old"
    assert names_in(tmp_path) == ["one"]


KILLED = """
import os, signal, sys
from pathlib import Path
from n2n_ablate.files import replacing
with replacing(Path(sys.argv[1])) as made:
    made.write_bytes(b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=60)
    assert done.returncode == -9
    assert path.read_bytes() == b"old"
    assert len(temporary_files(tmp_path)) == 1
    with replacing(tmp_path / "other") as living:
        assert remove_leftovers(tmp_path) == 1
        assert temporary_files(tmp_path) == [living]


def test_of_other_machines_only_what_is_old_is_removed(tmp_path):
    fresh, old, mine = (
        tmp_path / name
        for name in (
            ".writing-00000000-1-0123abcd",
            ".writing-00000000-2-0123abcd.png",
            ".writing-x",
        )
    )
    for path in (fresh, old, mine):
        path.write_bytes(b"half")
    past = time.time() - 2 * 24 * 3600
    os.utime(old, (past, past))
    os.utime(mine, (past, past))  # not a name that we give
    assert remove_leftovers(tmp_path) == 1
    assert names_in(tmp_path) == sorted([fresh.name, mine.name])


def test_opening_an_output_folder_removes_leftovers_of_fits_and_journals(tmp_path):
    Output(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    name = files.temporary_name().replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    for folder in ("fits", "fits/ab", "studies/tiny"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_bytes(b"half")
    assert len(temporary_files(tmp_path)) == 3
    Output(tmp_path)
    assert not temporary_files(tmp_path)


@pytest.mark.parametrize("levels", [100, 2_000, 20_000])
def test_a_deep_folder_is_used_or_refused_in_one_line(tmp_path, levels):
    deep = Path(tmp_path, *["d"] * levels)
    with pytest.raises(StoreError) as caught:
        Output(deep / ("x" * 300))
    assert "cannot be" in str(caught.value)
    if levels < 150:
        Output(deep)


def test_a_path_with_a_null_byte_is_refused_in_one_line():
    with pytest.raises(StoreError, match="null"):
        Output(Path("a\0b"))
    with pytest.raises(ImageError, match="null"):
        images.check_writable(Path("a\0b.png"))
