"""The output folder: where everything is written, and the locks that keep processes apart."""

from __future__ import annotations

import contextlib
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from n2n_ablate.errors import ABSENT, BusyError, StoreError, reasoned
from n2n_ablate.files import make_folders, read_file, remove_leftovers, write_whole
from n2n_ablate.locks import explained, wait

FOLDERS = ("fits", "studies", "artifacts", "locks")
"""What an output folder holds beside databases."""
_LONGEST = 480  # bytes; SQLite opens no path of more than 511, journal included


class Output:
    """The output folder: fits, journals, artifacts and locks. Everything in it can be made again.

    Args:
        root: The folder; it is made if it does not exist.
        reading: Only look at it: nothing is made, and it need not be writable.

    Raises:
        StoreError: It, or a folder in it, cannot be made or written to, or, for reading, it is not
            there.
    """

    def __init__(self, root: Path, *, reading: bool = False) -> None:
        self.root = _resolved(root)
        if reading:
            if why := _no_folder(self.root):
                msg = f"the output folder '{root}' {why}. Name one with --output DIR."
                raise StoreError(msg)
            return
        what, hint = "cannot be written", ". Use --output DIR."
        with reasoned(StoreError, f"the output folder '{root}' {what}", hint):
            for name in FOLDERS:
                make_folders(self.root / name)
            try_to_write(self.root)
        for name in FOLDERS:
            with reasoned(StoreError, f"'{root / name}' in the output folder {what}", hint):
                try_to_write(self.root / name)
        fits = self.root / "fits"  # what processes that were killed had begun to write
        for folder in (fits, *fits.iterdir(), *(self.root / "studies").iterdir()):
            remove_leftovers(folder)

    @contextlib.contextmanager
    def lock(self, name: str, busy: str) -> Iterator[None]:
        """Hold a lock that dies with this process.

        Raises:
            BusyError: Another process holds it; `busy` is the message, with who for `{owner}`.
            StoreError: The disk does not take it: it is full, read-only, or has no locks.
        """
        lock = FileLock(self.root / "locks" / f"{name}.lock")
        # Apart: whoever asks for a lock empties its file.
        owner = self.root / "locks" / f"{name}.owner"
        try:
            with self._gate(), explained(lock):
                lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(busy.replace("{owner}", _named(owner))) from None
        try:
            with contextlib.suppress(OSError):  # a name is not worth a study
                write_whole(owner, this_process())
            yield
        finally:
            with contextlib.suppress(OSError):
                owner.unlink(missing_ok=True)
            lock.release()

    @contextlib.contextmanager
    def idle(self) -> Iterator[None]:
        """Keep every study from being started, once none is running.

        Raises:
            BusyError: A study is being run or synced in this folder.
            StoreError: As `lock`.
        """
        with self._gate():
            for path in sorted((self.root / "locks").glob("*-*.lock")):
                with contextlib.suppress(Timeout), FileLock(path).acquire(timeout=0):
                    continue
                owner = _named(path.with_suffix(".owner"))
                msg = (
                    f"study '{path.stem.rpartition('-')[0]}' is being run by {owner}. Wait for it."
                )
                raise BusyError(msg)
            yield

    @contextlib.contextmanager
    def _gate(self) -> Iterator[None]:
        """Hold what everybody holds while taking the lock of a study, and `idle` all the time."""
        lock = FileLock(self.root / "locks" / "gate.lock")
        with explained(lock):
            wait(lock, f"another process removes fits from '{self.root}'", lambda _: None)
        try:
            yield
        finally:
            lock.release()


def _resolved(root: Path) -> Path:
    """Return the whole path of the output folder."""
    try:
        folder = root.resolve()
        length = len(os.fsencode(folder))
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        msg = f"the output folder '{root}' cannot be used: {why}. Use --output DIR."
        raise StoreError(msg) from error
    if length > _LONGEST:
        msg = (
            f"the output folder '{root}' cannot be used: its path has {length} bytes, and SQLite "
            f"opens databases in folders of at most {_LONGEST}. Use --output DIR."
        )
        raise StoreError(msg)
    return folder


def _no_folder(path: Path) -> str:
    """Return what keeps a path from being read as a folder, empty if nothing does."""
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return "is a file, not a folder"
        with os.scandir(path):
            return ""
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def this_process() -> str:
    """Return how other processes know this one: program, process and machine."""
    return f"n2n-ablate, process {os.getpid()} on {platform.node()}"


def _named(owner: Path) -> str:
    with contextlib.suppress(OSError):
        return read_file(owner).decode(errors="replace") or "another process"
    return "another process"


def try_to_write(folder: Path) -> None:
    """Make a file in a folder, and remove it."""
    with tempfile.TemporaryFile(dir=folder):
        pass
