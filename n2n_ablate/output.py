"""The output folder: where everything is written, and the locks that keep processes apart."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from n2n_ablate.errors import BusyError, StoreError


class Output:
    """The output folder: fits, journals, artifacts and locks. Everything in it can be made again.

    Args:
        root: The folder; it is made if it does not exist.
        reading: Only look at it: nothing is made, and it need not be writable.

    Raises:
        StoreError: It cannot be made or written to, or, for reading, is not there.
    """

    def __init__(self, root: Path, *, reading: bool = False) -> None:
        self.root = root.resolve()
        if reading:
            if not self.root.is_dir():
                msg = f"there is no output folder '{root}'. Name one with --output DIR."
                raise StoreError(msg)
            return
        try:
            for name in ("fits", "studies", "artifacts", "locks"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root / "fits"):
                pass
        except OSError as error:
            msg = (
                f"the output folder '{root}' cannot be written: {error.strerror}. Use --output DIR."
            )
            raise StoreError(msg) from error

    @contextlib.contextmanager
    def lock(self, name: str, busy: str) -> Iterator[None]:
        """Hold a lock that dies with this process.

        Raises:
            BusyError: Another process holds it; `busy` is the message.
        """
        lock = FileLock(self.root / "locks" / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(busy) from None
        try:
            yield
        finally:
            lock.release()

    def opening(self, file: Path | None = None) -> FileLock:
        """Return the lock to hold while a database is opened: two first openings can break it.

        Args:
            file: Of the database. One outside the output folder has its lock beside it, for the
                processes that use it from other output folders.
        """
        if file is not None and not file.resolve().is_relative_to(self.root):
            folder = file.resolve().parent
            if os.access(folder, os.W_OK):
                return FileLock(folder / f".{file.name}.lock")
        return FileLock(self.root / "locks" / "stores.lock")
