"""Addresses of databases: one way from a file to an SQLAlchemy URL and back."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

from n2n_ablate.errors import ABSENT, StoreError, no_file

_QUICK = 100 * 2**20  # bytes that are checked in less than a second


def sqlite_url(file: Path) -> str:
    """Return the address of an SQLite database, whatever characters its path has."""
    import sqlalchemy  # late: `--help` does not need it

    url = sqlalchemy.URL.create("sqlite", database=str(file))
    text = url.render_as_string(hide_password=False)
    if text != f"sqlite:///{file}":
        # MLflow makes the folder of `sqlite:///...` without decoding it: an empty one of another name.
        text = url.set(drivername="sqlite+pysqlite").render_as_string(hide_password=False)
    return text


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite database; None for others, for one in memory, and for no address."""
    import sqlalchemy

    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return None
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (
        None,
        "",
        ":memory:",
    )
    return Path(str(parsed.database)) if is_file else None


def check_file(file: Path, remedy: str) -> None:
    """Check that a database is a whole file, or is not there yet.

    SQLite would wait for a pipe for ever. How whole a large database is shows only in use.

    `remedy`: what makes it anew once it is out of the way.

    Raises:
        StoreError: It is something else, is damaged, or cannot be read.
    """
    try:
        about = file.stat()
        if stat.S_ISREG(about.st_mode):
            damage = damage_of(file) if about.st_size < _QUICK else ""
            if damage:
                msg = f"'{file}' is damaged: {damage}. Delete it: {remedy}"
                raise StoreError(msg)
            return
    except (OSError, ValueError):
        pass  # `no_file` says why
    if (why := no_file(file)) != ABSENT:
        msg = f"the database '{file}' {why}. Move it away: {remedy}"
        raise StoreError(msg)


def damage_of(file: Path) -> str:
    """Return what SQLite says of a file that is no database, or a broken one; else nothing."""
    if not file.is_file():
        return ""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        ) as one:
            text = str(one.execute("pragma quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return str(error) if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else ""
    return "" if text == "ok" else text.splitlines()[-1]
