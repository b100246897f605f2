"""Opens MLflow, asks it, and says in one line why that failed. Imports mlflow late."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from n2n_ablate.databases import damage_of, sqlite_file
from n2n_ablate.errors import AblateError, StoreError, StoreUnavailableError
from n2n_ablate.redaction import redact, redact_url
from n2n_ablate.tracking.address import check_address

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

# Without these a server that is down blocks a call for four minutes, and one that names a time to
# come again for as long as it likes, and importing mlflow reports the use of it to its makers, and
# servers are announced on stdout, in the middle of JSON.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_MAY_PASS = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
_NOT_MLFLOW = "it answers, but not as MLflow's server does"
_NOBODY = "n2n-ablate"  # an experiment that no server has
_LOGIN = (
    "check the login in the address, in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
    "in MLFLOW_TRACKING_TOKEN"
)
_TOLD = (
    ("Connection refused", "connection refused"),
    ("timed out", "no answer"),
    ("Failed to resolve", "there is no such host"),
    (r"too many (\d+) error responses", r"it answers \1"),
    (r"^UNAUTHENTICATED|^CUSTOMER_UNAUTHORIZED|error code 401", f"it refuses the login: {_LOGIN}"),
    ("^PERMISSION_DENIED|error code 403", f"it refuses the access: {_LOGIN}"),
    (r"error code (404|405)", rf"{_NOT_MLFLOW} (\1): is the address right?"),
    ("not in a valid JSON format|BadStatusLine", _NOT_MLFLOW),
)
"""What MLflow says with many words, and what is said instead."""
SWITCH = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
"""MLflow's own environment variable: `true` writes `system/...` metrics to the study's summary."""


def _load() -> None:
    """Import MLflow so that it neither waits for long, nor speaks by itself."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    # They tell every table that they make and every try that fails, in the middle of a progress
    # bar, and print the traceback of what is raised anyway.
    for name in ("alembic", "mlflow", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def connect(uri: str) -> MlflowClient:
    """Return a client of a store. A server is not asked anything yet.

    `uri`: see `address.tracking_uri`.

    Raises:
        StoreError: That is no address.
    """
    check_address(uri)
    _load()
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


def experiments(client: MlflowClient, most: int = 1) -> Sequence[Experiment]:
    """Return some experiments: the first question to every store.

    Raises:
        MlflowException: What answers is no MLflow.
    """
    from mlflow.exceptions import MlflowException

    experiments_known = client.search_experiments(max_results=most)
    # MLflow leaves out what is empty, so `{}` may be its answer; what is none has a next one too.
    answer = experiments_known or [client.get_experiment_by_name(_NOBODY)]
    if any(one is not None and not one.experiment_id for one in answer):
        raise MlflowException(_NOT_MLFLOW)
    return list(experiments_known)


class TimedClient:
    """A client that says since when a request is under way."""

    since = 0.0  # by `time.monotonic`, 0 for none

    def __init__(self, client: object) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def ask(*args: Any, **kwargs: Any) -> Any:
            self.since = time.monotonic()
            try:
                return method(*args, **kwargs)
            finally:
                self.since = 0.0

        return ask


class Monitor(Protocol):
    """What watches the machine in a thread of its own."""

    def finish(self) -> None:
        """Stop watching, and write what is left."""
        ...


def monitor(uri: str, run: str, note: Callable[[str], None]) -> Monitor | None:
    """Begin to watch the machine if that is switched on.

    `run`: id of the run that gets the values.
    """
    if os.environ.get(SWITCH, "").strip().lower() not in ("true", "1"):
        return None
    if importlib.util.find_spec("psutil") is None:
        note(f"{SWITCH} is set, but system metrics need psutil: pip install psutil")
        return None
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    started = SystemMetricsMonitor(run, resume_logging=True, tracking_uri=uri)
    started.start()
    return cast("Monitor", started)


@contextlib.contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn every way in which a store or a server can fail into one line.

    Raises:
        StoreUnavailableError: The same may work later: a server is down, a database is locked.
        StoreError: It will not.
    """
    _load()  # before anything imports MLflow as it is
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException

    try:
        yield
    except ParseError as error:
        msg = f"MLflow's store '{redact_url(uri)}' cannot be used: {_NOT_MLFLOW}"
        raise StoreUnavailableError(msg) from error
    except AblateError:
        raise
    except Exception as error:  # a damaged database makes MLflow raise whatever comes to it
        file = sqlite_file(uri)
        if damage := _damage(error) or (damage_of(file) if file else ""):
            msg = (
                f"'{file}' is damaged: {damage}. Delete it: n2n-ablate sync makes it "
                "anew from the journals, without training."
            )
            raise StoreError(msg) from error
        if not isinstance(error, MlflowException | ImportError | OSError | SQLAlchemyError):
            raise  # a bug
        msg = f"MLflow's store '{redact_url(uri)}' cannot be used: {_reason(error)}"
        code = getattr(error, "error_code", "")
        away = code in _MAY_PASS if code else isinstance(error, OSError | OperationalError)
        raise (StoreUnavailableError if away else StoreError)(msg) from error


def _damage(error: BaseException | None) -> str:
    """Return what SQLite says of a file that is no database, or a broken one; else nothing."""
    while error is not None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # what is above says where
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return str(error)
        error = error.__cause__
    return ""


def _reason(error: BaseException) -> str:
    """Return why a request failed, without the many words around it."""
    lines = [line for line in str(error).splitlines() if not line.startswith("(raised as a result")]
    text = redact(lines[0] if lines else type(error).__name__)
    for sign, reason in _TOLD:
        if match := re.search(sign, text):
            return match.expand(reason)
    return text[:300]
