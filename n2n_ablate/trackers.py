"""Where a study's figures go besides the fit store. A tracker is a view: losing it loses nothing."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from n2n_ablate.bench import Subject
from n2n_ablate.results import StudyResult, TrialResult
from n2n_ablate.study import Plan


@dataclass(frozen=True)
class Invocation:
    """One run of the command.

    Attributes:
        id: Unique.
        command: As the user typed it.
        device: See `Machine.name`.
        precision: See `Machine`.
        versions: Of Python, torch and the plugins, by name.
        commit: Of the git repository that the working folder belongs to, empty if none.
    """

    id: str
    command: str
    device: str
    precision: str
    versions: dict[str, str]
    commit: str = ""


class Tracker(Protocol):
    """Receives what happens in a study, in this order. Called from one thread, never concurrently."""

    def start(self, plan: Plan, invocation: Invocation) -> None:
        """Open the place where this study is kept."""
        ...

    def trial(self, result: TrialResult, subjects: Sequence[Subject]) -> None:
        """Keep a trial. Its results carry the denoised images, in the order of `subjects`."""
        ...

    def confirm(self, plan: Plan) -> None:
        """The study's own trials are finished; those that follow are of its confirmation."""
        ...

    def finish(self, result: StudyResult, status: str) -> None:
        """Keep the summary and close. `status` is `finished`, `interrupted` or `failed`."""
        ...


class Background:
    """Runs a tracker in a thread of its own, so that training never waits for a database.

    A tracker that fails is told once through `complain` and not called again for this study.
    """

    def __init__(self, tracker: Tracker, complain: Callable[[str], None]) -> None:
        self._tracker = tracker
        self._complain = complain
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._broken = False
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def start(self, plan: Plan, invocation: Invocation) -> None:
        """See `Tracker.start`."""
        self._queue.put(lambda: self._tracker.start(plan, invocation))

    def trial(self, result: TrialResult, subjects: Sequence[Subject]) -> None:
        """See `Tracker.trial`."""
        self._queue.put(lambda: self._tracker.trial(result, subjects))

    def confirm(self, plan: Plan) -> None:
        """See `Tracker.confirm`."""
        self._queue.put(lambda: self._tracker.confirm(plan))

    def finish(self, result: StudyResult, status: str) -> None:
        """See `Tracker.finish`. Returns when everything is written."""
        self._queue.put(lambda: self._tracker.finish(result, status))
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._broken:
                continue
            try:
                job()
            except Exception as error:  # noqa: BLE001  a tracker must never cost a study its results
                self._broken = True
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                self._complain(f"tracking stopped, the results are kept: {reason}")
