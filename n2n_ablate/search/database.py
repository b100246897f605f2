"""The database of searches: opened once, waited for while it is away, owned by one process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from n2n_ablate.databases import check_file, sqlite_file, sqlite_url
from n2n_ablate.errors import BusyError, StoreError
from n2n_ablate.locks import opening
from n2n_ablate.redaction import redact, redact_url, remember
from n2n_ablate.storage.output import Output, this_process

_PATIENCE = 60.0  # seconds that a database may be away while a study runs
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0
_OPENING = 1  # of the advisory lock that is held while tables are made
_ALIVE = "tcp_keepalives_idle=30", "tcp_keepalives_interval=10", "tcp_keepalives_count=3"

T = TypeVar("T")


class SearchDatabase:
    """A database that holds searches, opened.

    A server that was stopped, and a file that another program has locked, are waited for; only then
    a call fails. On PostgreSQL an advisory lock, which dies with its owner, keeps a second process
    off a search, whatever machine it runs on. It dies with the server too, however short that was
    away: so every call first looks whether it is still held.

    Args:
        url: An SQLAlchemy URL; `optuna.db` in the output folder if empty.
        output: The output folder.
        note: Told once per outage, and if another process keeps it from being opened.

    Attributes:
        storage: For Optuna.
        shared: Several machines may use it, and its own lock keeps them apart.

    Raises:
        StoreError: It cannot be opened.
    """

    def __init__(self, url: str, output: Output, note: Callable[[str], None]) -> None:
        self._url = url or sqlite_url(output.root / "optuna.db")
        self._note = note
        remember(self._url)
        self._held: tuple[int, str] | None = None
        self._guard: sqlalchemy.Connection | None = None
        self.broke = 0
        try:
            self._parsed = sqlalchemy.make_url(self._url)
            self.shared = self._parsed.get_backend_name() == "postgresql"
            file = sqlite_file(self._url)
            if file is not None:
                check_file(file, "the next study makes it anew, without training again.")
            with opening(output.root, note, file):
                self.storage = self._wait(self._open, self._locked)
        except (StoreError, BusyError):
            raise
        except Exception as error:  # SQLAlchemy and every driver have different families
            raise StoreError(self._why(error)) from error

    def call(self, ask: Callable[[], T]) -> T:
        """Ask the database; while it is away, wait and ask again.

        `ask` may be called several times, and must not mind that an earlier call took effect.

        Raises:
            StoreError: It stays away.
            BusyError: Somebody else took the search over meanwhile.
        """
        return self._wait(ask, self._away)

    def hold(self, name: str, busy: str) -> None:
        """Own a search until `close` or the end of this process. Does nothing on other databases.

        Raises:
            StoreError: The database stays away.
            BusyError: Another process owns it; `busy` is the message.
        """
        if self.shared:
            digest = hashlib.sha256(name.encode()).digest()
            self._held = int.from_bytes(digest[:8], "big", signed=True), busy
            self.call(lambda: None)

    def close(self) -> None:
        """Let go of everything."""
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        self.storage.remove_session()
        self.storage.engine.dispose()

    def _open(self) -> RDBStorage:
        guard = self._connect() if self.shared else None
        try:
            if guard is not None:  # two processes that make the tables at once break each other
                guard.execute(sqlalchemy.text(f"select pg_advisory_lock({_OPENING})"))
            return RDBStorage(self._url, engine_kwargs=self._options())
        finally:
            if guard is not None:
                guard.close()

    def _options(self) -> dict[str, Any]:
        if not self.shared:
            return {}
        # The server notices within a minute that a machine is gone, and gives its lock free.
        about = {
            "connect_timeout": 10,
            "application_name": this_process()[:63],
            "options": " ".join(f"-c {setting}" for setting in _ALIVE),
        }
        return {"pool_pre_ping": True, "connect_args": about}

    def _connect(self) -> sqlalchemy.Connection:
        options = self._options() | {"poolclass": sqlalchemy.NullPool}
        engine = sqlalchemy.create_engine(self._url, **options)
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _take(self) -> None:
        assert self._held is not None
        key, busy = self._held
        guard = self._connect()
        try:
            if guard.scalar(sqlalchemy.text(f"select pg_try_advisory_lock({key})")):
                self._guard = guard
                return
            parameters = {"high": key >> 32 & 0xFFFFFFFF, "low": key & 0xFFFFFFFF}
            owner = guard.scalar(
                sqlalchemy.text(
                    "select application_name from pg_locks join pg_stat_activity using (pid) where "
                    "locktype = 'advisory' and granted and classid = :high and objid = :low"
                ),
                parameters,
            )
        finally:
            if self._guard is not guard:
                guard.close()
        raise BusyError(busy.format(owner=owner or "another process"))

    def _keep(self) -> None:
        """Make sure that the lock is ours: the connection that holds it went when the server did."""
        if self._guard is not None:
            try:
                self._guard.scalar(sqlalchemy.text("select 1"))
            except DBAPIError:
                self._guard.invalidate()
                self._guard.close()
                self._guard = None
        if self._guard is None and self._held:
            self._take()

    def _wait(self, ask: Callable[[], T], is_away: Callable[[BaseException], bool]) -> T:
        since, pause, broken = time.monotonic(), _FIRST_PAUSE, self.broke
        while True:
            try:
                self._keep()
                return ask()
            except (optuna.exceptions.StorageInternalError, DBAPIError) as error:
                if not is_away(error):
                    raise StoreError(self._why(error)) from error
                if time.monotonic() - since > _PATIENCE:
                    raise StoreError(self._why(error, given_up=True)) from error
                if self.broke == broken:
                    self._note(
                        f"the search storage '{redact_url(self._url)}' does not answer: waiting up to "
                        f"{_PATIENCE:.0f} s for it"
                    )
            self.broke += 1
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _away(self, error: BaseException) -> bool:
        if not self.shared:
            return self._locked(error)
        return isinstance(_root(error), OperationalError | InterfaceError)

    def _locked(self, error: BaseException) -> bool:
        return "database is locked" in str(_root(error))

    def _why(self, error: BaseException, *, given_up: bool = False) -> str:
        what = f"the search storage '{redact_url(self._url)}'"
        if isinstance(error, ModuleNotFoundError) and self._url.startswith("postgres"):
            return (
                f"{what} needs psycopg: pip install 'n2n-ablate[postgres]', and write the address "
                "as postgresql+psycopg://USER@HOST/DATABASE."
            )
        if "no longer compatible with the table schema" in str(_root(error)):
            return (
                f"{what} cannot be used: it holds tables of another program or of another version of "
                "Optuna. Give the search a database of its own, not that of MLflow."
            )
        reason = redact(str(getattr(_root(error), "orig", None) or _root(error))).splitlines()[0]
        if given_up:
            return (
                f"{what} did not answer for {_PATIENCE:.0f} s: {reason}. "
                "Finished fits are saved; to resume, run the same command once it answers."
            )
        return f"{what} cannot be used: {reason}"


def _root(error: BaseException) -> BaseException:
    """Return what the database said, from under Optuna's wrapping."""
    while isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    return error
