"""`n2n-ablate study`: runs a study and prints its results."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from n2n_ablate.cli import grouping, options, stdout
from n2n_ablate.cli.screen import messages, results
from n2n_ablate.redaction import redact_command

if TYPE_CHECKING:
    from rich.console import Console

    from n2n_ablate.execute import Executor
    from n2n_ablate.report.live import Silent
    from n2n_ablate.runner.estimate import PlanTimer
    from n2n_ablate.runner.run import StudyInterrupted
    from n2n_ablate.runner.runner import Runner
    from n2n_ablate.runner.session import Request, Session
    from n2n_ablate.storage.output import Output

_FAILED_FITS = 3
_NOT_TRACKED = 4  # every fit is trained and stored; a tracker lacks some of it
_INTERRUPTED = 130
_ASKED = (signal.SIGINT, signal.SIGTERM)
_CLOSED = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()


@grouping.grouped
def run(
    study: options.Study,
    asked: options.StudyOptions,
    cluster: options.ClusterOptions,
    rerun: options.RerunOptions,
    shown: options.PrintOptions,
) -> None:
    """Run a study and print its results.

    Interrupted? Run it again: finished fits are kept.

    Examples:
        n2n-ablate study center-weight

        n2n-ablate study samplers --set sampler=mine --images photos/ --seeds 2
    """
    from n2n_ablate.execute import Choice
    from n2n_ablate.report.live import audience
    from n2n_ablate.runner.estimate import PlanTimer
    from n2n_ablate.runner.run import StudyInterrupted, run_study
    from n2n_ablate.runner.session import RunOptions, race_of
    from n2n_ablate.storage.fit_store import FitStore

    request = asked.request(
        study, Choice(cluster.executor, cluster.address, cluster.gpus_per_stack)
    )
    how = RunOptions(
        tracking=rerun.tracking,
        tracking_uri=rerun.tracking_uri,
        storage=rerun.storage,
        fresh=rerun.fresh,
        refit=rerun.refit,
        race=race_of(until_settled=rerun.until_settled, budget=rerun.budget),
    )
    view = audience(messages(), quiet=shown.brief)

    def introduce(session: Session, output: Output, executor: Executor) -> None:
        if not shown.brief:
            _introduce(session, view)
            if cluster.executor == "local":  # others train elsewhere, where nothing was measured
                timer = PlanTimer(FitStore(output), executor.width, rerun.refit)
                _foretell(session, view, timer, tracked=rerun.tracking == "mlflow")

    _heed_signals()
    try:
        runner = run_study(request, how, view, introduce)
    except StudyInterrupted as stopped:
        _interrupted(stopped, view.console)
        raise typer.Exit(_INTERRUPTED) from None
    _print(runner, request, as_json=shown.as_json, quiet=shown.quiet)
    if runner.result.failures:
        raise typer.Exit(_FAILED_FITS)
    raise typer.Exit(_NOT_TRACKED if runner.dispatcher.incomplete else 0)


def _introduce(session: Session, view: Silent) -> None:
    """Say what is asked, and what of it is not run."""
    from n2n_ablate.cli.plan import repeated_levels, told_demonstration, told_limit

    view.note(session.plan.study.question)
    if not session.plan.profile.decides:
        view.note(told_demonstration(session.plan))
    if session.plan.repeated:
        view.note(repeated_levels(session.plan))
    if session.plan.dropped:
        view.note(told_limit(session.plan))


def _foretell(session: Session, view: Silent, timer: PlanTimer, *, tracked: bool) -> None:
    """Say how long the study will take, and let the view go on with that."""
    from n2n_ablate.errors import AblateError
    from n2n_ablate.report.numbers import format_duration
    from n2n_ablate.runner.estimate import Forecast
    from n2n_ablate.runner.planning import estimates

    try:
        forecast = Forecast(*estimates(session, timer), tracked=tracked)
    except AblateError:  # a component fails later than in its first step: that costs its fits only
        return
    view.note(f"Expected time: about {format_duration(forecast.seconds)}.")

    def left(trial: str, confirmed: bool) -> str:
        seconds = forecast.finished(trial, confirmed=confirmed)
        return f"about {format_duration(seconds)} left" if seconds >= 2 else ""

    view.time_left = left


def _print(runner: Runner, request: Request, *, as_json: bool, quiet: bool) -> None:
    from n2n_ablate.analysis.analyse import analyse, to_json
    from n2n_ablate.cli.plan import told_demonstration
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.study import next_steps, study_document

    out, plan = results(), runner.plan
    result, header = runner.result, runner.header
    if as_json:
        stdout.write_json(to_json(result, header))
        return
    print_document(out, study_document(analyse(result, header), plan.heeded))
    if not plan.profile.decides:
        out.print(told_demonstration(plan), markup=False, highlight=False)
    if not quiet:
        print_document(out, next_steps(_next(runner, request)))


def _next(runner: Runner, request: Request) -> list[tuple[str, str]]:
    """Return commands that may follow, each with what it is for."""
    plan = runner.plan
    name = plan.study.name
    where = [] if request.output == Path("mlruns") else ["--output", str(request.output)]
    commands = [
        ("write the report: answer, figures, methods", ["report", name, *where]),
        ("browse curves and images", ["ui", name, *where]),
    ]
    if runner.search:
        more = ["--trials", str(plan.profile.trials * 2)]
        joins = ", then confirm its new best trial" if runner.confirmation_data else ""
        commands.append(
            (f"continue the search{joins}", [*_without_trials(_going_on(sys.argv[1:])), *more])
        )
    denoise = ["denoise", "noisy.png", "-o", "clean.png", "--from-study", name, *where]
    commands.append(("denoise with the recipe chosen by `n2n-ablate best`", denoise))
    return [(redact_command(["n2n-ablate", *words]), what) for what, words in commands]


def _going_on(words: list[str]) -> list[str]:
    """Return the command as typed, but for what would start from the beginning again."""
    return [word for word in words if word not in ("--fresh", "--refit")]


def _without_trials(words: list[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if not skip and word != "--trials" and not word.startswith("--trials="):
            kept.append(word)
        skip = word == "--trials"
    return kept


def _interrupted(stopped: StudyInterrupted, console: Console) -> None:
    from n2n_ablate.report.text.progress import interrupted

    command = redact_command(["n2n-ablate", *_going_on(sys.argv[1:])])
    text = interrupted(stopped.trials, stopped.trained, command)
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _heed_signals() -> None:
    """End in order when asked to or when the terminal is closed; at once if asked a second time."""
    for kind in (*_ASKED, *_CLOSED):
        if signal.getsignal(kind) != signal.SIG_IGN:  # what `nohup` ignores stays ignored
            signal.signal(kind, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    for kind in _ASKED:
        signal.signal(kind, signal.SIG_DFL)
    for kind in _CLOSED:  # shell and system both tell of it
        signal.signal(kind, signal.SIG_IGN)
    raise KeyboardInterrupt
