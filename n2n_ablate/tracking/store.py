"""Opens MLflow's store and writes to it in few requests. Imports mlflow late."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import re
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from n2n_ablate.databases import check_file, sqlite_file, sqlite_url
from n2n_ablate.errors import StoreError, StoreUnavailableError
from n2n_ablate.files import make_folders
from n2n_ablate.locks import opening
from n2n_ablate.redaction import redact_url, remember
from n2n_ablate.tracking.address import (
    DATABASE,
    NOTE,
    check_address,
    is_server,
    kept_in,
    knock,
)
from n2n_ablate.tracking.client import TimedClient, connect, experiments, explained
from n2n_ablate.tracking.tags import FILES

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from n2n_ablate.tracking.record import Dataset, Value
    from n2n_ablate.tracking.tags import Kept

_MOST_VALUES, _MOST_ENTRIES, _LONGEST = 1000, 100, 5000  # per request, and characters of one entry
_PAGE = 1000  # runs per request
_PATIENCE = 10.0  # seconds that a study waits for the first answer before it begins
_RUN = re.compile(r"[0-9a-f]{32}")
_ANEW = "n2n-ablate sync makes it anew from the journals, without training."


class MlflowStore:
    """A store for runs, opened when it is first needed.

    Args:
        root: The output folder. Its lock keeps two processes from opening a database at once.
        uri: See `tracking_uri`.
        note: Given a line, once, if another process keeps it from being opened.

    Raises:
        StoreError: MLflow is not installed, or that is no address.
    """

    def __init__(self, root: Path, uri: str, note: Callable[[str], None] = lambda _: None) -> None:
        if importlib.util.find_spec("mlflow") is None:
            msg = "MLflow is not installed: pip install mlflow"
            raise StoreError(msg)
        remember(uri)
        check_address(uri)
        self.uri = uri
        self._root = root.resolve()
        self._note = functools.cache(note)  # so that it hears each line once
        self._opened = False
        self._client: TimedClient | None = None

    def unanswered(self) -> float:
        """Return how many seconds ago the present request was sent, 0 if there is none."""
        since = self._client.since if self._client else 0.0
        return time.monotonic() - since if since else 0.0

    @property
    def client(self) -> MlflowClient:
        """The client of the opened store.

        Raises:
            StoreError: It cannot be opened.
        """
        if not self._opened:
            unlocked, file = contextlib.nullcontext(), sqlite_file(self.uri)
            lock = unlocked if is_server(self.uri) else opening(self._root, self._note, file)
            with lock, explained(self.uri):
                self._make()
                self._client = TimedClient(connect(self.uri))
                experiments(cast("MlflowClient", self._client))  # only this opens the store
            self._opened = True
        return cast("MlflowClient", self._client)

    def check(self) -> None:
        """Check, before anything is trained for it, that the store can be used.

        What may answer later is no reason not to begin. The database of the output folder is only
        looked at: opening it would take seconds.

        Raises:
            StoreError: It will not work, now or later.
        """
        file = sqlite_file(self.uri)
        if file is not None:
            check_file(file, _ANEW)
        if self._is_own:
            return
        refused: list[StoreError] = []

        def first() -> None:
            try:
                _ = MlflowStore(self._root, self.uri).client
            except StoreError as error:
                refused.append(error)

        opening = threading.Thread(target=first, daemon=True)
        opening.start()
        opening.join(_PATIENCE)
        if refused and not isinstance(refused[0], StoreUnavailableError):
            msg = f"{refused[0]}. Nothing was trained. Put that right, or use --tracking none."
            raise StoreError(msg) from refused[0]

    def _make(self) -> None:
        """Make an SQLite database under another name, and rename it when it is whole.

        MLflow makes its tables one by one, and never again opens what a crash left of them.
        """
        file = sqlite_file(self.uri)
        if file is None:
            if self.uri.startswith(("postgresql", "mysql", "mssql")):
                knock(self.uri)  # MLflow itself goes on trying for minutes when it is down
            return
        check_file(file, _ANEW)
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        # MLflow keeps databases open, one too that was deleted since this process used it, and made
        # again by this process or another: SQLite then refuses to write.
        for engine in filter(None, [getattr(SqlAlchemyStore, "_engine_map", {}).get(self.uri)]):
            engine.dispose()
        if file.exists() and file.stat().st_size:
            return
        for left in file.parent.glob(f"{file.name}.new*"):
            left.unlink()
        make_folders(file.parent)
        home = (self._root / "artifacts").as_uri()
        new = sqlite_url(file.with_name(f"{file.name}.new"))
        SqlAlchemyStore(new, home).engine.dispose()
        file.with_name(f"{file.name}.new").replace(file)

    def experiment_id(self, name: str) -> str | None:
        """Return the id of an experiment, None if there is none."""
        experiment = self.client.get_experiment_by_name(name)
        return None if experiment is None else str(experiment.experiment_id)

    def experiment(self, name: str, note: str) -> str:
        """Return the id of an experiment: made, known, or brought back from MLflow's bin.

        Raises:
            StoreError: It cannot be made, or its files are kept in a folder that is gone.
        """
        with explained(self.uri):
            experiment = self.client.get_experiment_by_name(name)
            if experiment is None:
                # Other stores must not share a folder with ours.
                other = "" if self._is_own else f"@{zlib.crc32(redact_url(self.uri).encode()):08x}"
                home = self._root / "artifacts" / f"{name}{other}"
                # MLflow's default is a folder below wherever the command happens to be run.
                location = None if is_server(self.uri) else home.as_uri()
                made = self.client.create_experiment(name, location, {NOTE: note[:_LONGEST]})
                return str(made)
            if experiment.lifecycle_stage == "deleted":
                self.client.restore_experiment(experiment.experiment_id)
        self._check_home(experiment.artifact_location, name)
        return str(experiment.experiment_id)

    @property
    def _is_own(self) -> bool:
        """Whether this is the database of the output folder."""
        return sqlite_file(self.uri) == self._root / DATABASE

    def runs(self, experiment: str, wanted: str, *, deleted: bool = False) -> Iterator[Run]:
        """Return all runs of an experiment that a filter lets through, page by page."""
        from mlflow.entities import ViewType

        view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
        token: str | None = None
        while True:
            page = self.client.search_runs([experiment], wanted, view, _PAGE, page_token=token)
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

        `span`: start and end of the run in milliseconds; points are spread between them.
        """
        from mlflow.entities import Metric, Param, RunTag

        start, end = span
        metrics = [
            Metric(
                value.name, value.value, round(start + value.progress * (end - start)), value.step
            )
            for value in values
        ]
        entries = [Param(key, value[:_LONGEST]) for key, value in (params or {}).items()]
        labels = [RunTag(key, value[:_LONGEST]) for key, value in (tags or {}).items()]
        chunks: tuple[tuple[str, list[Any], int], ...] = (
            ("metrics", metrics, _MOST_VALUES),
            ("params", entries, _MOST_ENTRIES),
            ("tags", labels, _MOST_ENTRIES),
        )
        for what, every, most in chunks:
            for first in range(0, len(every), most):
                chunk: dict[str, Any] = {what: every[first : first + most]}
                self.client.log_batch(run, **chunk)

    def log_dataset(self, run: str, dataset: Dataset) -> None:
        """Say what a run was evaluated on; twice is once."""
        from mlflow import entities

        used = entities.Dataset(
            dataset.name,
            dataset.digest,
            "n2n-ablate",
            json.dumps(dataset.source, ensure_ascii=False),
            profile=json.dumps(dataset.profile),
        )
        context = entities.InputTag("mlflow.data.context", "evaluation")
        self.client.log_inputs(run, [entities.DatasetInput(used, [context])])

    def keep_files(self, run: str, folder: Path) -> None:
        """Keep everything in a folder with a run, at the same relative paths, and how much it was."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for file in files:
            inside = file.relative_to(folder).parent.as_posix()
            # One by one, so that a server that hangs differs from one that has much to do.
            self.client.log_artifact(run, str(file), None if inside == "." else inside)
        self.log(run, tags={FILES: str(len(files))})

    def lacks_files(self, kept: Kept, *, ask: bool) -> bool:
        """Say whether files of a run are gone.

        `ask`: ask a server too: a request for every folder. Otherwise it is believed.
        """
        folder = kept_in(kept.location)
        if folder is not None:
            there = sum(path.is_file() for path in folder.rglob("*"))
        else:
            there = self._count(kept.run, "") if ask else kept.files
        return there < kept.files

    def _count(self, run: str, path: str) -> int:
        artifacts = self.client.list_artifacts(run, path or None)
        return sum(self._count(run, one.path) if one.is_dir else 1 for one in artifacts)

    def remove_orphans(self, experiment: str) -> int:
        """Remove folders of files whose runs are gone, and return how many there were.

        Only where nobody else keeps files: in the output folder, for its database.
        """
        home = kept_in(self.client.get_experiment(experiment).artifact_location)
        root = self._root
        if not self._is_own or home is None or not home.is_relative_to(root / "artifacts"):
            return 0
        # Folders first: a run is there before its folder.
        folders = {path.name: path for path in home.glob("*") if _RUN.fullmatch(path.name)}
        for run in self.runs(experiment, "", deleted=True) if folders else ():
            folders.pop(run.info.run_id, None)
        for path in folders.values():
            shutil.rmtree(path, ignore_errors=True)
        return len(folders)

    def _check_home(self, location: str, name: str) -> None:
        home, root = kept_in(location), self._root
        if home is None or is_server(self.uri):
            return
        # The database of an output folder that was copied still names the folder it was copied from.
        copied = self._is_own and not home.is_relative_to(root)
        if home.parent.is_dir() and not copied:
            return
        # MLflow would quietly go on in the old folder, or make it again, wherever that was.
        msg = (
            f"MLflow keeps the pictures of '{name}' in '{home}', outside '{root}': was the output "
            f"folder moved? Delete '{root / DATABASE}' and give: n2n-ablate sync (nothing is trained)."
        )
        raise StoreError(msg)
