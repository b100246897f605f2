"""Addresses of databases: one way from a file to an SQLAlchemy URL and back."""

from __future__ import annotations

import stat
from pathlib import Path

from n2n_ablate.errors import ABSENT, StoreError, no_file


def sqlite_url(file: Path) -> str:
    """Return the address of an SQLite database, whatever characters its path has."""
    import sqlalchemy  # late: `--help` does not need it

    url = sqlalchemy.URL.create("sqlite", database=str(file))
    return url.render_as_string(hide_password=False)


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
    """Check that a database is a file, or is not there yet. SQLite would wait for a pipe for ever.

    Args:
        file: Of the database.
        remedy: What makes it anew once it is out of the way.

    Raises:
        StoreError: It is something else, or cannot be read.
    """
    try:
        if stat.S_ISREG(file.stat().st_mode):
            return
    except (OSError, ValueError):
        pass  # `no_file` says why
    if (why := no_file(file)) != ABSENT:
        msg = f"the database '{file}' {why}. Move it away: {remedy}"
        raise StoreError(msg)
