"""`n2n-ablate study`: runs a study and prints its results."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

import typer

from n2n_ablate.cli import grouping, options
from n2n_ablate.cli.screen import messages, results, show_json
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
    from n2n_ablate.study import Plan

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
    printed: options.PrintOptions,
) -> None:
    """Run a study and print its results.

    To resume an interrupted study, run it again: finished fits are kept.

    Examples:
        n2n-ablate study center-weight
        n2n-ablate study samplers --set sampler=mine --images photos/ --seeds 2
    """
    from n2n_ablate.report.live import audience
    from n2n_ablate.runner.estimate import PlanTimer
    from n2n_ablate.runner.run import StudyInterrupted, run_study
    from n2n_ablate.storage.fit_store import FitStore

    request, brief = asked.request(study, cluster.choice()), printed.as_json or printed.quiet
    view = audience(messages(), quiet=brief)

    def introduce(session: Session, output: Output, executor: Executor) -> None:
        if brief:
            return
        _introduce(session.plan, view)
        if cluster.executor == "local":  # others train elsewhere, where nothing was measured
            timer = PlanTimer(FitStore(output), executor.width, rerun.refit)
            _foretell(session, view, timer, tracked=rerun.tracking == "mlflow")

    _heed_signals()
    try:
        runner = run_study(request, rerun.chosen(), view, introduce)
    except StudyInterrupted as stopped:
        _interrupted(stopped, view.console)
        raise typer.Exit(_INTERRUPTED) from None
    _print(runner, request, printed)
    if runner.result.failures:
        raise typer.Exit(_FAILED_FITS)
    raise typer.Exit(_NOT_TRACKED if runner.dispatcher.incomplete else 0)


def _introduce(plan: Plan, view: Silent) -> None:
    """Say what is asked, and what of it is not run."""
    from n2n_ablate.cli.plan import demonstration_line, left_out_lines

    view.note(plan.study.question)
    if not plan.profile.decides:
        view.note(demonstration_line(plan))
    for line in left_out_lines(plan):
        view.note(line)


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


def _print(runner: Runner, request: Request, printed: options.PrintOptions) -> None:
    from n2n_ablate.analysis.analyse import analyse, to_json
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.study import next_steps, study_document

    out, plan = results(), runner.plan
    if printed.as_json:
        show_json(to_json(runner.result, runner.header))
        return
    print_document(out, study_document(analyse(runner.result, runner.header), plan.heeded))
    if not printed.quiet:
        print_document(out, next_steps(_next(runner, request)))


def _next(runner: Runner, request: Request) -> list[tuple[str, str]]:
    """Return commands that may follow, each with what it is for."""
    from n2n_ablate.cli.plan import answering_profile

    plan = runner.plan
    name, where = plan.study.name, options.output_words(request.output)
    commands = []
    if not plan.profile.decides and (answers := answering_profile(plan)):
        commands.append(("answer the question", ["study", name, "--profile", answers, *where]))
    commands += [
        ("write the report: answer, figures, methods", ["report", name, *where]),
        ("browse curves and images", ["ui", name, *where]),
    ]
    if runner.search:
        more = ["--trials", str(plan.profile.trials * 2)]
        joins = ", then confirm its best" if runner.confirmation_data else ""
        commands.append((f"continue the search to {more[1]} trials{joins}", [*_words(), *more]))
    denoise = ["denoise", "noisy.png", "-o", "denoised.png", "--from-study", name, *where]
    commands.append(("denoise with the recipe chosen by `n2n-ablate best`", denoise))
    return [(redact_command(["n2n-ablate", *words]), what) for what, words in commands]


def _words(*, trials: bool = False) -> list[str]:
    """Return the command as typed, but for what would start from the beginning again.

    `trials`: with `--trials`.
    """
    kept, skip = [], False
    for word in sys.argv[1:]:
        is_trials = not trials and word.partition("=")[0] == "--trials"
        if not skip and not is_trials and word not in ("--fresh", "--refit"):
            kept.append(word)
        skip = is_trials and word == "--trials"
    return kept


def _interrupted(stopped: StudyInterrupted, console: Console) -> None:
    from n2n_ablate.report.text.progress import interrupted

    command = redact_command(["n2n-ablate", *_words(trials=True)])
    console.print(interrupted(stopped.trials, stopped.trained, command), soft_wrap=True)


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
