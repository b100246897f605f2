"""Does jobs in another thread, so that training never waits; outages outside are waited out."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from n2n_ablate.errors import StoreUnavailableError
from n2n_ablate.redaction import redact

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries while a store is away
_PATIENCE = 10.0  # seconds that one request may go unanswered when only it is waited for
_STILL = 120.0  # seconds without a job done or a request answered, after which nothing moves
_HURRY = 5.0  # seconds that the end of a study that was stopped waits in all
_QUIET = 5.0  # seconds after which it says what it waits for


@runtime_checkable
class Outside(Protocol):
    """What a listener says of the store outside that it writes to."""

    def later(self) -> str:
        """Return what will write what could not be written now, without a full stop."""
        ...

    def unanswered(self) -> float:
        """Return how many seconds ago the present request was sent, 0 if there is none."""
        ...


class Background:
    """Does jobs one after the other, in the order in which they come.

    A job that raises `StoreUnavailableError` is tried again, at growing intervals, until `finish`; meanwhile
    the others queue. Any other error ends all work. Both are said once.

    Args:
        name: What the work is called in messages.
        outside: The store that is written to, if it is one that may be away.

    Attributes:
        incomplete: Some of the work was left out; known after `finish`.
    """

    def __init__(
        self, name: str, complain: Callable[[str], None], outside: Outside | None = None
    ) -> None:
        self._name = name
        self._complain = complain
        self._outside = outside
        # Jobs, and whether each is the last; None after it.
        self._queue: queue.SimpleQueue[tuple[Callable[[], None], bool] | None] = queue.SimpleQueue()
        self._ending, self._done = threading.Event(), threading.Event()
        self._over = self._lacking = self._broken = False
        self.incomplete = False
        self._short = False  # time is short: only the last job counts
        self._moved = self._unanswered = 0.0  # when something was done; see `Outside.unanswered`
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def put(self, job: Callable[[], None]) -> None:
        """Do this too, after everything else."""
        self._queue.put((job, False))

    def finish(self, last: Callable[[], None] | None = None, *, hurry: bool = False) -> None:
        """Return when everything is done, or nothing moves any more; Ctrl-C ends the waiting.

        `last`: a last job, which says that the study is over; `hurry`: somebody waits for the process to end:
        return within seconds. A queue that takes longer is left out, so that the last job may still be done.
        """
        if last is not None:
            self._queue.put((last, True))
        self._queue.put(None)
        self._ending.set()
        self._moved = begun = time.monotonic()
        announced = False
        try:
            # Not `join`: in Python 3.11 one that Ctrl-C interrupts takes the thread for dead.
            while not self._done.wait(0.2):
                waited = time.monotonic() - begun
                self._short = hurry and waited > _HURRY / 2
                if self._still() or (hurry and waited > _HURRY):
                    break
                if not hurry and waited > _QUIET and not announced:
                    announced = True
                    self._complain(f"{self._name} is still being written; Ctrl-C skips the rest")
        except KeyboardInterrupt:
            pass  # the study is over; only its view was waited for
        if self._lacking or not self._done.is_set():
            self._over = self.incomplete = True
            first = "once that is put right, " if self._broken else ""
            later = f": {first}{self._outside.later()}" if self._outside else ""
            self._complain(f"{self._name} is incomplete, the results are saved{later}")

    def _still(self) -> bool:
        """Say whether nothing moves: no job was done and no request was answered for long."""
        waited = self._outside.unanswered() if self._outside is not None else 0.0
        if waited < self._unanswered:  # one of the many requests of a job was answered
            self._moved = time.monotonic()
        self._unanswered = waited
        return waited > _PATIENCE or time.monotonic() - self._moved > _STILL

    def _work(self) -> None:
        while (queued := self._queue.get()) is not None:
            job, last = queued
            if self._short and not last:
                self._lacking = True
            elif not self._over:
                self._do(job)
                self._moved = time.monotonic()
        self._done.set()

    def _do(self, job: Callable[[], None]) -> None:
        pause, away = _FIRST_PAUSE, False
        while not self._over:
            try:
                job()
            except StoreUnavailableError as error:
                if not away:
                    self._complain(
                        f"{self._name} is waiting, the study continues: {_reason(error)}"
                    )
                away = True
                if self._ending.is_set():
                    self._over = self._lacking = True
                    return
                self._ending.wait(pause)  # the end cuts it short: one more try, then no other
                pause = min(2 * pause, _LONGEST_PAUSE)
            except (Exception, SystemExit) as error:  # noqa: BLE001  a view must never cost results
                self._over = self._lacking = self._broken = True
                self._complain(f"{self._name} stopped, the study continues: {_reason(error)}")
            else:
                if away:
                    self._complain(f"{self._name} continues")
                return


def _reason(error: BaseException) -> str:
    return redact(str(error).splitlines()[0] if str(error) else type(error).__name__)
