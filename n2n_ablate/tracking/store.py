"""Opens MLflow's store and writes to it in few requests. Imports mlflow late."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from n2n_ablate.errors import StoreError
from n2n_ablate.files import make_folders
from n2n_ablate.redaction import remember
from n2n_ablate.storage.database_url import check_file, sqlite_file, sqlite_url
from n2n_ablate.tracking.address import (
    DATABASE,
    check_address,
    is_server,
    kept_in,
    knock,
)
from n2n_ablate.tracking.client import connect, experiments, explained

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from n2n_ablate.storage.output import Output
    from n2n_ablate.tracking.record import Value

NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a description."""

_MOST_VALUES, _MOST_ENTRIES, _LONGEST = 1000, 100, 5000  # per request, and characters of one entry
_PAGE = 1000  # runs per request


class _Asked:
    """A client whose requests are marked while they are under way."""

    def __init__(
        self, client: object, asking: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        self._client = client
        self._asking = asking

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def ask(*args: Any, **kwargs: Any) -> Any:
            with self._asking():
                return method(*args, **kwargs)

        return ask


class MlflowStore:
    """A place for runs, opened when it is first needed.

    Args:
        output: The output folder. Its lock keeps two processes from opening a database at once.
        uri: See `tracking_uri`.
        note: Told once if another process keeps it from being opened.

    Raises:
        StoreError: MLflow is not installed, or that is no address.
    """

    def __init__(
        self, output: Output, uri: str, note: Callable[[str], None] = lambda _: None
    ) -> None:
        if importlib.util.find_spec("mlflow") is None:
            msg = "MLflow is not installed: pip install mlflow"
            raise StoreError(msg)
        remember(uri)
        check_address(uri)
        self.uri = uri
        self._output = output
        self._note, self._noted = note, False
        self._client: MlflowClient | None = None
        self._asked = 0.0

    def unanswered(self) -> float:
        """Return how many seconds ago the present request was sent, 0 if there is none."""
        asked = self._asked
        return time.monotonic() - asked if asked else 0.0

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Mark a request, see `unanswered`."""
        self._asked = time.monotonic()
        try:
            yield
        finally:
            self._asked = 0.0

    @property
    def client(self) -> MlflowClient:
        """The client of the opened store.

        Raises:
            StoreError: It cannot be opened.
        """
        if self._client is None:
            with self._opening(), self.explained():
                self._make()
                client = cast("MlflowClient", _Asked(connect(self.uri), self.asking))
                experiments(client)  # only this opens the store
            self._client = client
        return self._client

    def _make(self) -> None:
        """Make an SQLite database under another name, and rename it when it is whole.

        MLflow makes its tables one by one, and never again opens what a crash left of them.
        """
        file = sqlite_file(self.uri)
        if file is None:
            self._reach()
        else:
            check_file(file, "n2n-ablate sync makes it anew from the journals, without training.")
        if file is None or file.exists():
            return
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        for left in file.parent.glob(f"{file.name}.new*"):
            left.unlink()
        make_folders(file.parent)
        home = (self._output.root / "artifacts").as_uri()
        new = sqlite_url(file.with_name(f"{file.name}.new"))
        SqlAlchemyStore(new, home).engine.dispose()
        file.with_name(f"{file.name}.new").replace(file)

    def _reach(self) -> None:
        """Knock at a database server: MLflow itself goes on trying for minutes when it is down."""
        if self.uri.startswith(("postgresql", "mysql", "mssql")):
            knock(self.uri)

    def experiment_id(self, name: str) -> str | None:
        """Return the id of an experiment, None if there is none."""
        found = self.client.get_experiment_by_name(name)
        return None if found is None else str(found.experiment_id)

    def experiment(self, name: str, note: str) -> str:
        """Return the id of an experiment: made, found, or brought back from MLflow's bin.

        Raises:
            StoreError: It cannot be made, or its files are kept in a folder that is gone.
        """
        with self.explained():
            found = self.client.get_experiment_by_name(name)
            if found is None:
                home = self._output.root / "artifacts" / name
                # MLflow's own default is a folder below wherever the command happens to be run.
                place = None if is_server(self.uri) else home.as_uri()
                made = self.client.create_experiment(name, place, {NOTE: note[:_LONGEST]})
                return str(made)
            if found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
        self._check_home(found.artifact_location, name)
        return str(found.experiment_id)

    def runs(self, experiment: str, wanted: str) -> Iterator[Run]:
        """Return all runs of an experiment that a filter lets through, page by page."""
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [experiment], wanted, max_results=_PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def create(self, experiment: str, name: str, start: int, tags: Mapping[str, str]) -> str:
        """Begin a run and return its id. `start` is in milliseconds.

        The first tags come with the run, in one request: they say whose it is, whatever happens.
        """
        entries = [(key, value[:_LONGEST]) for key, value in tags.items()]
        first, rest = dict(entries[:_MOST_ENTRIES]), dict(entries[_MOST_ENTRIES:])
        made = self.client.create_run(experiment, start, first, name)
        run = str(made.info.run_id)
        self.log(run, tags=rest)
        return run

    def log(
        self,
        run: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        values: Sequence[Value] = (),
        span: tuple[int, int] = (0, 0),
    ) -> None:
        """Write everything at once: that is 20 to 200 times as fast as a call per value.

        Args:
            run: Its id.
            params: What was chosen.
            tags: What else is known.
            values: Points of curves.
            span: Start and end of the run in milliseconds; points are spread between them.
        """
        from mlflow.entities import Metric, Param, RunTag

        start, end = span
        metrics = [
            Metric(item.name, item.value, round(start + item.progress * (end - start)), item.step)
            for item in values
        ]
        entries = [Param(key, value[:_LONGEST]) for key, value in (params or {}).items()]
        labels = [RunTag(key, value[:_LONGEST]) for key, value in (tags or {}).items()]
        self._send(run, "metrics", metrics, _MOST_VALUES)
        self._send(run, "params", entries, _MOST_ENTRIES)
        self._send(run, "tags", labels, _MOST_ENTRIES)

    def keep_files(self, run: str, folder: Path) -> None:
        """Keep everything in a folder with a run, at the same relative paths."""
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            inside = file.relative_to(folder).parent.as_posix()
            # One by one, so that a server that hangs is told from one that has much to do.
            self.client.log_artifact(run, str(file), None if inside == "." else inside)

    def end(self, run: str, status: str, at: int | None = None) -> None:
        """End a run: `FINISHED`, `FAILED` or `KILLED`."""
        self.client.set_terminated(run, status, at)

    def _send(self, run: str, what: str, rest: Sequence[Any], most: int) -> None:
        for place in range(0, len(rest), most):
            chunk: dict[str, Any] = {what: rest[place : place + most]}
            self.client.log_batch(run, **chunk)

    def explained(self) -> contextlib.AbstractContextManager[None]:
        """Say why it fails, see `client.explained`."""
        return explained(self.uri)

    def _opening(self) -> contextlib.AbstractContextManager[None]:
        if is_server(self.uri):
            return contextlib.nullcontext()
        return self._output.opening(self._waits, sqlite_file(self.uri))

    def _waits(self, message: str) -> None:
        if not self._noted:
            self._note(message)
        self._noted = True

    def _check_home(self, location: str, name: str) -> None:
        home, own = kept_in(location), self._output.root
        if home is None or is_server(self.uri):
            return
        # The database of an output folder that was copied still names the folder it was copied from.
        copied = sqlite_file(self.uri) == own / DATABASE and not home.is_relative_to(own)
        if home.parent.is_dir() and not copied:
            return
        # MLflow would quietly go on in the old folder, or make it again, wherever that was.
        msg = (
            f"MLflow keeps the pictures of '{name}' in '{home}', outside '{own}': was the output "
            f"folder moved? Delete '{own / DATABASE}' and give: n2n-ablate sync (nothing is trained)."
        )
        raise StoreError(msg)
