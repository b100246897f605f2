"""Where MLflow keeps runs: a database file, a database server, or a server of MLflow."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from n2n_ablate.databases import sqlite_url
from n2n_ablate.errors import StoreError
from n2n_ablate.redaction import redact_url

DATABASE = "mlflow.db"
PLAN, ORDER = "n2n.plan", "n2n.order"
"""Tags of a run: which plan it belongs to; how MLflow's pages sort the plan's runs."""
NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a description."""
_PATIENCE = 10  # seconds until a database server has to answer


def tracking_uri(root: Path, explicit: str | None = None) -> str:
    """Return where runs are kept: as given, else `MLFLOW_TRACKING_URI`, else in the output folder."""
    asked = explicit or os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    return asked or sqlite_url(root.resolve() / DATABASE)


def kept_in(location: str) -> Path | None:
    """Return the folder of an experiment's files, None where a server or a bucket keeps them."""
    from urllib.request import url2pathname  # late: it alone takes a tenth of the time of --help

    parts = urlsplit(location)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def is_server(uri: str) -> bool:
    """Say whether runs are kept by a server, which then also decides where files go."""
    return uri.startswith(("http://", "https://"))


def without_login(url: str) -> str:
    """Return the address of a server without user name and password."""
    return re.sub(r"//[^/?#]*@", "//", url, count=1)


def check_address(uri: str) -> None:
    """Check that an address can be taken apart, before anything is trained for it.

    Raises:
        StoreError: It cannot.
    """
    import sqlalchemy

    try:
        if is_server(uri):
            _ = urlsplit(uri).port
        else:
            sqlalchemy.make_url(uri)
    except ValueError as error:
        # Its words would hold a password that stands where a port should.
        msg = f"MLflow's store '{redact_url(uri)}' cannot be used: that is no address"
        raise StoreError(msg) from error
    except sqlalchemy.exc.ArgumentError:
        return  # a folder, or what a plugin of MLflow knows


def knock(url: str) -> None:
    """Connect to a database and hang up; a server that does not answer is waited for 10 s.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: It cannot be reached, or is none.
        ImportError: Its driver is not installed.
    """
    import sqlalchemy

    parsed = sqlalchemy.make_url(url)
    timed = parsed.get_backend_name() in ("postgresql", "mysql", "mariadb")
    connect_args = (
        {"connect_timeout": _PATIENCE} if timed and "connect_timeout" not in parsed.query else {}
    )
    engine = sqlalchemy.create_engine(
        parsed, poolclass=sqlalchemy.NullPool, connect_args=connect_args
    )
    engine.connect().close()


def chart_link(base_url: str, experiment_id: str, order: str = "", plan: str = "") -> str:
    """Return the page that shows an experiment's curves. Without the queries MLflow opens another.

    `order`: by which the runs are sorted, as MLflow has it: "metrics.`eval/psnr` DESC"; `plan`: key of the
    only plan whose runs are shown.
    """
    query = {"workflowType": "machine_learning", "compareRunsMode": "CHART"}
    if order:
        key, _, direction = order.rpartition(" ")
        query |= {"orderByKey": key, "orderByAsc": str(direction == "ASC").lower()}
    if plan:
        query["searchFilter"] = f"tags.`{PLAN}` = '{plan}'"
    page = f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs"
    return f"{page}?{urlencode(query, quote_via=quote)}"
