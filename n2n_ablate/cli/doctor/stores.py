"""Where results go: output folder, fits, journals, locks, databases, and stores that were named."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from n2n_ablate.cli.doctor import BROKEN, NOTE, OK, WARNING, Finding
from n2n_ablate.errors import ABSENT, AblateError, StoreError, StoreUnavailableError, no_file
from n2n_ablate.files import is_temporary
from n2n_ablate.redaction import redact, redact_url, remember
from n2n_ablate.storage.output import FOLDERS, try_to_write
from n2n_ablate.tracking.address import DATABASE, is_server, kept_in, knock, tracking_uri

_LOW, _LEAST = 2 * 2**30, 200 * 2**20  # bytes free on the disk


def everything(root: Path) -> Iterator[Finding]:
    """Look at the folder and at all that is in it."""
    yield from folder(root)
    try:
        root.exists()
    except OSError:  # no folder can be called so: `folder` said it
        return
    for look in (fits, journals, locks, databases, experiments):
        yield from look(root)


def folder(root: Path) -> Iterator[Finding]:
    """Look whether the output folder can be written, and how much space there is."""
    home = _existing(root)
    what = f"the output folder '{root}'"
    try:
        try_to_write(home)
        for place in (home / name for name in FOLDERS if home == root):
            if place.exists():
                what = f"'{place}' in the output folder"
                try_to_write(place)
    except OSError as error:
        text = f"{what} cannot be written: {error.strerror}"
        yield Finding("output", BROKEN, text, "name another with --output DIR")
        return
    made = "" if home == root else ", made by the first study"
    yield Finding("output", OK, f"'{root}' can be written{made}")
    free = shutil.disk_usage(home).free
    state = OK if free > _LOW else WARNING if free > _LEAST else BROKEN
    advice = "" if state == OK else "make space, or name another disk with --output DIR"
    yield Finding("disk", state, f"{free / 2**30:.1f} GB are free", advice)


def _existing(path: Path) -> Path:
    """Return the folder itself, or the nearest one above it that exists."""
    with contextlib.suppress(OSError, ValueError):
        for folder in (path, *path.absolute().parents):
            if folder.exists():
                return folder
    return path


def fits(root: Path) -> Iterator[Finding]:
    """Count what is stored, set aside, and left over."""
    if not (root / "fits").is_dir():
        return
    stored, damaged, halves = 0, [], 0
    for file in (root / "fits").rglob("*"):
        stored += file.suffix == ".safetensors"
        halves += is_temporary(file)
        if file.suffix == ".damaged":
            damaged.append(file.name)
    yield Finding("fits", OK, f"{stored} are stored")
    if damaged:
        text = f"{len(damaged)} were damaged and set aside, e.g. {damaged[0]}"
        advice = "they are trained again when a study needs them; delete the files"
        yield Finding("fits", WARNING, text, advice)
    if halves:
        text = f"{halves} half-written files of a process that was killed"
        yield Finding("fits", NOTE, text, "delete them while no study runs")


def journals(root: Path) -> Iterator[Finding]:
    """Read every journal."""
    from n2n_ablate.storage import journal

    if not (root / "studies").is_dir():
        return
    count = 0
    for file in sorted((root / "studies").glob("*/*.jsonl")):
        count += 1
        try:
            whole = journal.read(file).header is not None
        except (AblateError, OSError) as error:
            yield Finding("journals", WARNING, f"'{file}' cannot be read: {error}", _AGAIN)
            continue
        if not whole:
            yield Finding("journals", WARNING, f"'{file}' has no header", _AGAIN)
    yield Finding("journals", OK, f"{count} runs of studies")


_AGAIN = "run the study again: its fits are cached and the journal is written anew"


def locks(root: Path) -> Iterator[Finding]:
    """Say which locks are held. Files of locks that nobody holds are harmless."""
    from filelock import FileLock, Timeout

    for file in sorted((root / "locks").glob("*.lock")) if (root / "locks").is_dir() else ():
        try:
            with FileLock(file, timeout=0):
                continue  # a file that nobody holds is left from a study that has ended
        except Timeout:
            text = f"'{file.stem}' is held: a process is working on it"
            yield Finding("locks", NOTE, text, "wait for it, or use --output with another folder")
        except OSError as error:
            text = f"'{file}' cannot be locked: {error.strerror}"
            yield Finding("locks", BROKEN, text, "use --output on a local disk")


_SYNC = "n2n-ablate sync"


def _anew(file: Path, lost: str) -> str:
    return f"delete '{file}': {lost} makes it anew from the journals, without training"


def _asked(file: Path, question: str) -> list[tuple[str, ...]]:
    """Return what a database of SQLite answers; it is not changed, and not made."""
    uri = f"{file.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=1)) as connection:
        return connection.execute(question).fetchall()


def experiments(root: Path) -> Iterator[Finding]:
    """Look whether MLflow's database was copied or moved: it names folders by absolute path."""
    file, home = root / DATABASE, root.resolve()
    known: list[tuple[str, ...]] = []
    with contextlib.suppress(OSError, sqlite3.Error):  # see `databases`
        known = _asked(file, "select name, artifact_location from experiments")
    for name, location in known:
        # Others are not ours, like MLflow's own `Default`.
        folder = kept_in(location) if (home / "studies" / name).is_dir() else None
        if folder is not None and not folder.is_relative_to(home):
            text = (
                f"{DATABASE} keeps the pictures of '{name}' in '{folder}', outside '{home}': was the "
                "output folder moved?"
            )
            yield Finding("databases", WARNING, text, _anew(file, _SYNC))


def databases(root: Path) -> Iterator[Finding]:
    """Try SQLite on this disk, and check the databases that are there without changing them."""
    if root.is_dir():
        try:
            with tempfile.TemporaryDirectory(dir=root) as folder:
                tried = sqlite3.connect(Path(folder) / "try.db")
                tried.execute("create table a (b)")
                tried.commit()
                tried.close()
        except (OSError, sqlite3.Error) as error:
            advice = "SQLite needs a disk with locks: use --output on a local disk"
            yield Finding("databases", BROKEN, f"SQLite does not work here: {error}", advice)
            return
    yield Finding("databases", OK, f"SQLite {sqlite3.sqlite_version}")
    for name, lost in ((DATABASE, _SYNC), ("optuna.db", "the next study")):
        if (root / name).is_file():
            yield _whole(root / name, lost)
        elif (why := no_file(root / name)) != ABSENT:
            advice = f"move it away: {lost} makes it anew from the journals, without training"
            yield Finding("databases", BROKEN, f"{name} {why}", advice)


def _whole(file: Path, lost: str) -> Finding:
    try:
        answer = str(_asked(file, "pragma quick_check(1)")[0][0])
    except sqlite3.Error as error:
        answer = str(error)
    if answer == "ok":
        return Finding("databases", OK, f"{file.name} is whole")
    if "locked" in answer:
        return Finding(
            "databases", NOTE, f"{file.name} is locked by another process", "wait for it"
        )
    return Finding("databases", BROKEN, f"{file.name} is damaged: {answer}", _anew(file, lost))


def tracking(output: Path, uri: str) -> Iterator[Finding]:
    """Look whether MLflow's server or database answers, where one is named."""
    named = uri or os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if importlib.util.find_spec("mlflow") is None:
        if named:
            yield Finding("tracking", BROKEN, "MLflow is not installed", "pip install mlflow")
        return
    where = tracking_uri(output, uri)
    remember(where)
    if not named:
        yield Finding("tracking", OK, "MLflow's database in the output folder")
    elif is_server(where):
        yield _server(where)
    else:
        yield from _database("tracking", where)


def storage(url: str) -> Iterator[Finding]:
    """Look whether the storage of searches answers, where one is named."""
    if not url:
        return
    if importlib.util.find_spec("optuna") is None:
        yield Finding("storage", BROKEN, "Optuna is not installed", "pip install optuna")
        return
    yield from _database("storage", url)


def _server(url: str) -> Finding:
    """Ask a server what a study asks first, with the same login."""
    from n2n_ablate.tracking.client import connect, experiments, explained

    later = "or use --tracking none now and n2n-ablate sync later"
    try:
        with explained(url):
            experiments(connect(url))
    except StoreUnavailableError as error:
        return Finding("tracking", BROKEN, str(error), f"start it, name another, {later}")
    except StoreError as error:
        return Finding("tracking", BROKEN, str(error), f"put that right, {later}")
    return Finding("tracking", OK, f"the server at {redact_url(url)} answers")


def _database(topic: str, url: str) -> Iterator[Finding]:
    """Connect to a database; one of SQLite that is not there yet is made by the first study."""
    import sqlalchemy

    remember(url)
    shown = redact_url(url)
    try:
        parsed = sqlalchemy.make_url(url)
        file = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
        if file is not None and not file.exists():
            if file.absolute().parent.is_dir():
                yield Finding(topic, NOTE, f"{shown} is made by the first study")
            else:
                text = f"{shown}: there is no folder '{file.absolute().parent}'"
                yield Finding(topic, BROKEN, text, "make it, or name another store")
            return
        knock(url)
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, ValueError) as error:
        reason = redact((str(error).splitlines() or [type(error).__name__])[0])
        text = f"{shown} cannot be opened: {reason}"
        advice = "check the address, the server, and that its driver is installed"
        yield Finding(topic, BROKEN, text, advice)
        return
    yield Finding(topic, OK, f"{shown} answers")
