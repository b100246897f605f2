"""Runs a study from a request to its results: checks, lock, executor, stores, runner, in this order."""

from __future__ import annotations

import importlib.util
import platform
import sys
import uuid
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Protocol

import torch

from n2n_ablate import study
from n2n_ablate.errors import StoreError, StudyError
from n2n_ablate.execute import Executor
from n2n_ablate.records import Invocation
from n2n_ablate.records.header import commit
from n2n_ablate.redaction import redact_command
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.runner.runner import Runner
from n2n_ablate.runner.session import Request, RunOptions, Session, open_session
from n2n_ablate.storage.output import Output
from n2n_ablate.version import __version__

if TYPE_CHECKING:
    from n2n_ablate.search.search import Search

TRACKING = ("mlflow", "none")


class View(Protocol):
    """Shows how a study goes on. It implements life-cycle hooks, like any plugin."""

    def note(self, message: str) -> None:
        """See `hookspecs.note`."""
        ...

    def close(self) -> None:
        """Clear what is drawn."""
        ...


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C while a study was running. Everything that was finished is stored.

    Attributes:
        trials: How many are finished.
        trained: Fits that were trained.
    """

    def __init__(self, trials: int, trained: int) -> None:
        super().__init__(f"{trials} trials finished, {trained} fits trained; all are saved")
        self.trials, self.trained = trials, trained


def run_study(
    request: Request,
    options: RunOptions,
    view: View,
    ready: Callable[[Session, Output, Executor], None] = lambda *_: None,
) -> Runner:
    """Run a study and return its runner, done.

    `ready`: called when everything is checked and opened, before the first trial.

    Raises:
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
    executor = request.executor.executor(session.paired_data.machine, session.registry)
    runner: Runner | None = None
    with output.lock(session.lock_name, busy), executor:
        try:
            runner = open_runner(session, output, view, options, executor)
            ready(session, output, executor)
            runner.run()
        except KeyboardInterrupt as stop:  # opening may wait for a tracking server
            done = (len(runner.result.trials), runner.trained) if runner else (0, 0)
            raise StudyInterrupted(*done) from stop
        finally:
            view.close()
            if runner and runner.search is not None:
                runner.search.close()
    return runner


def open_runner(
    session: Session,
    output: Output,
    view: object,
    options: RunOptions | None = None,
    executor: Executor | None = None,
) -> Runner:
    """Open the stores and return the runner. The caller holds the study's lock.

    `view` implements life-cycle hooks, like any plugin. Whoever gives an executor opens and closes it.
    """
    options, plan = options or RunOptions(), session.plan
    if options.race and plan.effects:
        msg = (
            "--until-settled is for contrasts; a factorial has effects, which need every cell whole"
        )
        raise StudyError(msg)
    if options.race and plan.space and session.confirmation_data is None:
        msg = (
            f"--until-settled analyses declared contrasts while they run, and study "
            f"'{plan.study.name}' is a search without a confirmation. Name held-out images "
            "with --confirm-images (of measured pairs: --confirm-scenes), or add [confirm] to the study "
            "file."
        )
        raise StudyError(msg)
    dispatcher = _dispatcher(session, output, view, options)
    search = _search(session, output, options, dispatcher.note)
    invocation = _invocation(session)
    return Runner(session, options, output, dispatcher, invocation, search, executor)


def _dispatcher(
    session: Session, output: Output, view: object, options: RunOptions
) -> HookDispatcher:
    dispatcher = HookDispatcher(session.registry)
    for plugin in session.registry.listeners:
        dispatcher.add(plugin)
    if options.tracking == "mlflow":
        from n2n_ablate.tracking.tracker import MlflowTracker

        tracker = MlflowTracker(output.root, options.tracking_uri)
        tracker.store.check()
        dispatcher.join(tracker, "tracking")
    dispatcher.join(view, "the live view")  # the last one is called first
    for broken in session.registry.broken:
        dispatcher.note(f"not loaded: {broken}")
    return dispatcher


def _search(
    session: Session, output: Output, options: RunOptions, note: Callable[[str], None]
) -> Search | None:
    plan = session.plan
    if not (plan.space and plan.searched):
        return None
    if importlib.util.find_spec("optuna") is None:
        count, others = len(plan.fixed), ", ".join(one for one in study.DESIGNS if one != "search")
        msg = (
            f"study '{plan.study.name}' is a search, which needs Optuna: pip install optuna. Without it, "
            f"--trials {count} runs the {count} trials that are declared, and studies of the designs "
            f"{others} run whole."
        )
        raise StudyError(msg)
    from n2n_ablate.search.search import Search

    return Search(
        plan,
        output,
        session.registry,
        key=session.paired_data.key,
        storage=options.storage,
        fresh=options.fresh,
        note=note,
    )


def check_tracking(kind: str) -> None:
    """Check that there is such a tracker before anything is read for it."""
    if kind not in TRACKING:
        msg = f"--tracking cannot be '{kind}'. Use {' or '.join(TRACKING)}."
        raise StudyError(msg)
    if kind == "mlflow" and importlib.util.find_spec("mlflow") is None:
        msg = (
            "MLflow is not installed. Use --tracking none here and n2n-ablate sync where it is, "
            "or: pip install mlflow"
        )
        raise StoreError(msg)


def _invocation(session: Session) -> Invocation:
    machine = session.paired_data.machine
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "n2n-ablate": __version__,  # a checkout need not be installed
    }
    for name in ("mlflow", "optuna"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    for entry in session.registry:
        if entry.origin.version and not str(entry.factory.__module__).startswith("n2n_ablate"):
            versions[entry.origin.plugin] = entry.origin.version
    command = redact_command(["n2n-ablate", *sys.argv[1:]])
    return Invocation(
        uuid.uuid4().hex[:12], command, machine.name, machine.precision, versions, commit()
    )
