"""Runs a study from a request to its results: checks, lock, executor, stores, runner, in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from n2n_ablate.execute import Executor
from n2n_ablate.records import Header, StudyResult
from n2n_ablate.runner.runner import Runner
from n2n_ablate.runner.session import (
    Request,
    RunOptions,
    Session,
    check_tracking,
    open_runner,
    open_session,
)
from n2n_ablate.storage.output import Output


class View(Protocol):
    """Shows how a study goes on. It implements life-cycle hooks, like any plugin."""

    def note(self, message: str) -> None:
        """See `hookspecs.note`."""
        ...

    def close(self) -> None:
        """Clear what is drawn."""
        ...


@dataclass(frozen=True)
class Outcome:
    """A study that was run.

    Attributes:
        session: What was run.
        result, header: What came out.
        searching: Whether a search chose trials.
        not_tracked: Whether a tracker lacks some of it.
    """

    session: Session
    result: StudyResult
    header: Header
    searching: bool
    not_tracked: bool


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C while a study was running. Everything that was finished is stored.

    Attributes:
        trials: How many are finished.
        trained: Fits that were trained.
    """

    def __init__(self, trials: int, trained: int) -> None:
        super().__init__(f"{trials} trials finished, {trained} fits trained; all are saved")
        self.trials, self.trained = trials, trained


Ready = Callable[[Session, Output, Executor], None]


def run_study(
    request: Request, options: RunOptions, view: View, ready: Ready | None = None
) -> Outcome:
    """Run a study.

    Args:
        request: What.
        options: How.
        view: Shows it. It is closed at the end.
        ready: Called when everything is checked and opened, before the first trial.

    Raises:
        AblateError: See the message.
        StudyInterrupted: Ctrl-C.
    """
    check_tracking(options.tracking)
    request.executor.check()
    session = open_session(request)
    output = Output(request.output)
    busy = (
        f"study '{session.plan.study.name}' is being run by {{owner}} in '{request.output}'. "
        "Wait, or use --output."
    )
    with (
        output.lock(session.lock_name, busy),
        request.executor.executor(session.paired_data.machine, session.registry) as executor,
    ):
        try:
            runner = open_runner(session, output, view, options, executor)
        except KeyboardInterrupt as stop:  # it may wait for a tracking server
            view.close()
            raise StudyInterrupted(0, 0) from stop
        try:
            if ready is not None:
                ready(session, output, executor)
            _run(runner)
        finally:
            view.close()
            if runner.search is not None:
                runner.search.close()
    return Outcome(
        session=session,
        result=runner.result,
        header=runner.header,
        searching=runner.search is not None,
        not_tracked=bool(runner.dispatcher.incomplete),
    )


def _run(runner: Runner) -> None:
    try:
        runner.run()
    except KeyboardInterrupt as stop:
        raise StudyInterrupted(len(runner.result.trials), runner.trained) from stop
