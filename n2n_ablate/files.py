"""Writes files whole: under another name, flushed, renamed. If anything fails, the old file stays."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from socket import gethostname

from n2n_ablate.errors import no_file, on_failure

_PREFIX = ".writing-"
_NAME = re.compile(
    r"\.writing-(?P<host>[0-9a-f]{8})-(?P<pid>\d{1,10})-[0-9a-f]{8}(\..*)?", re.DOTALL
)
_OLD = 24 * 3600  # seconds after which a file that nobody renamed has lost its writer


@contextlib.contextmanager
def replacing(path: Path, *, keep_old: bool = False) -> Iterator[Path]:
    """Yield a name beside `path` to write to; at the end it becomes `path`, in one step.

    No reader and no crash ever sees half a file, and when the block has been left a power cut does
    not undo it. A new file follows the umask, one that replaces another keeps its permissions. A
    symbolic link stays one: what it points to is replaced.

    `path`: the file, in a folder that exists; `keep_old`: do not replace a file that is there.

    Raises:
        FileExistsError: It is there, with `keep_old`.
        OSError: It cannot be written, or is a folder, a pipe or a device.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of(target)
    if mode is not None and not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, no_file(target), str(path))
    made = target.with_name(temporary_name(target.suffix))

    def forget() -> None:
        with contextlib.suppress(OSError):
            made.unlink()

    with on_failure(forget):
        os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        if mode is not None:
            made.chmod(stat.S_IMODE(mode))
        yield made
        _flush(made)
        (_rename_to_new if keep_old else os.replace)(made, target)
    flush_folder(target.parent)


def write_whole(path: Path, content: bytes | str, *, keep_old: bool = False) -> None:
    """Write a file in one step, text as UTF-8, see `replacing`.

    Raises:
        OSError: As `replacing`.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path, keep_old=keep_old) as made, made.open("r+b") as file:
        file.write(data)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, unless they are there; a power cut does not undo it.

    However deep it lies: Python's own way calls itself once for every level.

    Raises:
        OSError: It cannot be made, or a file is in the way.
    """
    missing = []
    for one in (folder, *folder.parents):
        try:
            if stat.S_ISDIR(one.stat().st_mode):
                break
        except (FileNotFoundError, NotADirectoryError):
            missing.append(one)
            continue
        raise FileExistsError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(one))
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            one.mkdir()
            flush_folder(one.parent)


def read_file(path: Path) -> bytes:
    """Return what a file holds. A pipe would never end, and a folder is none.

    Raises:
        FileNotFoundError: It does not exist.
        OSError: It cannot be read, with a reason that may follow its name.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, no_file(path), str(path))
    return path.read_bytes()


def temporary_name(suffix: str = "") -> str:
    """Return the name of a file that is being written: it says by which process."""
    return f"{_PREFIX}{_this_host()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def is_temporary(path: Path) -> bool:
    """Say whether a file has, or once had, the name of one that is being written."""
    return path.name.startswith(_PREFIX)


def remove_leftovers(folder: Path) -> int:
    """Remove files in a folder whose writer was killed, and return how many there were."""
    removed = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and _is_left(entry):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()
                    removed += 1
    return removed


def flush_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the system can: POSIX, most disks."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # network disks that cannot do it have names of their own
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def process_is_gone(pid: int) -> bool:
    """Say whether a process of this machine has ended; False where the system cannot tell."""
    if os.name != "posix":  # elsewhere asking would end it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it exists, but belongs to somebody else
        return False
    return False


def _is_left(entry: os.DirEntry[str]) -> bool:
    known = _NAME.fullmatch(entry.name)
    if known is None or not entry.is_file(follow_symlinks=False):
        return False
    if known["host"] == _this_host() and process_is_gone(int(known["pid"])):
        return True
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD


def _rename_to_new(made: Path, target: Path) -> None:
    if _mode_of(target) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    made.replace(target)


def _mode_of(path: Path) -> int | None:
    """Return type and permissions of a file, None if it does not exist."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _this_host() -> str:
    return f"{zlib.crc32(gethostname().encode()):08x}"


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Return a form of every name that files and metrics may have; different for different names."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100] or "unnamed"
        taken, slug, count = set(found.values()), plain, 1
        while slug in taken:
            count += 1
            slug = f"{plain}-{count}"
        found[name] = slug
    return found
