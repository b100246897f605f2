"""Locks that die with their process: waiting for one, and the one for opening a database."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from n2n_ablate.errors import StoreError, StoreUnavailableError
from n2n_ablate.files import make_folders

_QUIET = 5.0  # seconds after which it says what it waits for
_PATIENCE = 60.0  # seconds for which it then waits


@contextlib.contextmanager
def opening(root: Path, note: Callable[[str], None], file: Path | None = None) -> Iterator[None]:
    """Hold the lock for opening a database: two first openings at once can break it.

    `root`: the output folder, a whole path; `note`: told if another process holds it for longer than a few
    seconds; `file`: of the database. One outside the output folder has its lock beside it, for the processes
    that use it from other output folders.

    Raises:
        StoreUnavailableError: Another process holds it for more than a minute.
        StoreError: The disk does not take it: it is full, read-only, or has no locks.
    """
    folder, lock = root, FileLock(root / "locks" / "stores.lock")
    # Unlike `Path.resolve` it leaves a link that leads in a circle for the check of the database.
    whole = None if file is None else Path(os.path.realpath(file))
    if whole is not None and not whole.is_relative_to(root):
        beside = whole.parent
        if os.access(beside, os.W_OK):
            folder, lock = beside, FileLock(beside / f".{whole.name}.lock")
    with explained(lock):
        make_folders(root / "locks")
        wait(lock, f"another process is opening the stores in '{folder}'", note)
    try:
        yield
    finally:
        lock.release()


def wait(lock: FileLock, what: str, note: Callable[[str], None]) -> None:
    """Take a lock; say so after some seconds, and give up after a minute.

    Raises:
        StoreUnavailableError: Another process holds it.
    """
    try:
        lock.acquire(timeout=_QUIET)
    except Timeout:
        note(f"{what}: waiting up to {_PATIENCE:.0f} s for it")
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout:
            msg = f"{what} and does not come to an end: does it hang? End it, then try again."
            raise StoreUnavailableError(msg) from None


@contextlib.contextmanager
def explained(lock: FileLock) -> Iterator[None]:
    """Say why a disk does not take a lock.

    Raises:
        StoreError: It does not.
    """
    try:
        yield
    except Timeout:  # an OSError too
        raise
    except (OSError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or "this disk has no locks"
        msg = (
            f"the lock '{lock.lock_file}' cannot be taken: {why}. Use --output DIR on another disk."
        )
        raise StoreError(msg) from error
