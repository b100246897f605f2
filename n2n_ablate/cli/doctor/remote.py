"""Stores that the user named: an MLflow server, a database for tracking or for searches."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from n2n_ablate.cli.doctor import BROKEN, NOTE, OK, Finding
from n2n_ablate.errors import StoreError, StoreUnavailableError
from n2n_ablate.redaction import redact, redact_url, remember
from n2n_ablate.tracking.address import is_server, knock, tracking_uri


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
