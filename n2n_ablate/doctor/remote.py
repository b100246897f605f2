"""Stores that the user named: an MLflow server, a database for tracking or for searches."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from n2n_ablate.doctor.finding import BROKEN, NOTE, OK, Finding
from n2n_ablate.escape import unsigned
from n2n_ablate.tracking.address import is_server, knock, tracking_uri

_PATIENCE = 5.0  # seconds for a server


def tracking(output: Path, uri: str) -> Iterator[Finding]:
    """Look whether MLflow's server or database answers, where one is named."""
    named = uri or os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if importlib.util.find_spec("mlflow") is None:
        if named:
            yield Finding("tracking", BROKEN, "MLflow is not installed", "pip install mlflow")
        return
    where = tracking_uri(output, uri)
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
    import urllib.request

    shown = unsigned(url)
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=_PATIENCE):
            return Finding("tracking", OK, f"the server at {shown} answers")
    except (OSError, ValueError) as error:
        text = f"the server at {shown} does not answer: {getattr(error, 'reason', error)}"
        advice = "start it, or use --tracking none now and n2n-ablate sync later"
        return Finding("tracking", BROKEN, text, advice)


def _database(topic: str, url: str) -> Iterator[Finding]:
    """Connect to a database; one of SQLite that is not there yet is made by the first study."""
    import sqlalchemy

    shown = unsigned(url)
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
        reason = unsigned((str(error).splitlines() or [type(error).__name__])[0])
        text = f"{shown} cannot be opened: {reason}"
        advice = "check the address, the server, and that its driver is installed"
        yield Finding(topic, BROKEN, text, advice)
        return
    yield Finding(topic, OK, f"{shown} answers")
