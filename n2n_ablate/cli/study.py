"""`n2n-ablate study`: runs a study and prints what it found."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.screen import messages, results
from n2n_ablate.redaction import STORAGE, redact_command

if TYPE_CHECKING:
    from rich.console import Console

    from n2n_ablate.records import StudyResult
    from n2n_ablate.report.live import Silent
    from n2n_ablate.runner.estimate import PlanTimer
    from n2n_ablate.runner.interim import RaceOptions
    from n2n_ablate.runner.runner import Runner
    from n2n_ablate.runner.session import Request, Session

_FAILED_FITS = 3
_NOT_TRACKED = 4  # every fit is trained and stored; a tracker lacks some of it
_INTERRUPTED = 130
_ASKED = (signal.SIGINT, signal.SIGTERM)
_CLOSED = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()


def run(
    study: options.Study,
    profile: options.Profile = "",
    trials: options.Trials = None,
    seeds: options.Seeds = None,
    images: options.Images = None,
    crop: options.Crop = None,
    white: options.White = None,
    channels: options.Channels = "",
    confirm_images: options.ConfirmImages = None,
    pairs: options.Pairs = None,
    settings: options.Settings = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    executor: options.Executor = "local",
    address: options.Address = "",
    gpus_per_stack: options.GpusPerStack = None,
    output: options.Output = Path("mlruns"),
    plugins_dir: options.PluginsDir = None,
    tracking: Annotated[
        str, typer.Option(help="mlflow or none.", rich_help_panel="Where")
    ] = "mlflow",
    tracking_uri: Annotated[
        str,
        typer.Option(
            help="MLflow store or server, instead of the output folder's.", rich_help_panel="Where"
        ),
    ] = "",
    storage: Annotated[
        str,
        typer.Option(
            help="Optuna storage (SQLAlchemy URL).", rich_help_panel="Where", envvar=STORAGE
        ),
    ] = "",
    budget: Annotated[
        str,
        typer.Option(
            help="With --until-settled: begin no batch of images that would end later, e.g. 20m.",
            rich_help_panel="Budget",
        ),
    ] = "",
    *,
    until_settled: Annotated[
        bool,
        typer.Option(
            "--until-settled",
            help="Look at the contrasts after every batch of images; one that is settled gets no more.",
            rich_help_panel="Budget",
        ),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start a new search; finished fits are reused.")
    ] = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Train again what is in the store.")
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run a study.

    Stopped halfway? Run it again: finished fits are kept.

    Examples:
        n2n-ablate study center-weight

        n2n-ablate study samplers --set sampler=mine --images photos/ --seeds 2

        n2n-ablate study samplers --executor ray --address 10.0.0.1:6379
    """
    from n2n_ablate.execute import Choice
    from n2n_ablate.runner.session import Request, check_tracking, open_session, race_of
    from n2n_ablate.storage.output import Output

    request = Request(
        study=study,
        profile=profile,
        settings=settings or [],
        trials=trials,
        seeds=seeds,
        images=images or [],
        crop=crop,
        white=white,
        channels=options.channels_of(channels),
        confirm_images=confirm_images or [],
        pairs=pairs or [],
        device=device,
        precision=precision,
        executor=Choice(executor, address, gpus_per_stack),
        output=output,
        plugins_dir=plugins_dir,
    )
    check_tracking(tracking)
    race = race_of(until_settled=until_settled, budget=budget)
    request.executor.check()
    _heed_signals()
    session = open_session(request)
    place = Output(output)
    busy = f"study '{session.plan.study.name}' is being run by {{owner}} in '{output}'. Wait, or use --output."
    with place.lock(session.lock_name, busy):
        code = _run_locked(
            request,
            session,
            place,
            (tracking, tracking_uri, storage),
            (fresh, refit, as_json, quiet),
            race,
        )
    raise typer.Exit(code)


def _run_locked(
    request: Request,
    session: Session,
    place: object,
    stores: tuple[str, str, str],
    switches: tuple[bool, bool, bool, bool],
    race: RaceOptions | None,
) -> int:
    from n2n_ablate.cli.plan import repeated_levels, told_demonstration, told_limit
    from n2n_ablate.report.live import audience
    from n2n_ablate.runner.estimate import PlanTimer
    from n2n_ablate.runner.session import open_runner
    from n2n_ablate.storage.fit_store import FitStore
    from n2n_ablate.storage.output import Output

    assert isinstance(place, Output)
    tracking, tracking_uri, storage = stores
    fresh, refit, as_json, quiet = switches
    view = audience(messages(), quiet=quiet or as_json)
    with request.executor.executor(session.paired_data.machine, session.registry) as executor:
        runner = open_runner(
            session,
            place,
            view,
            tracking=tracking,
            tracking_uri=tracking_uri,
            storage=storage,
            fresh=fresh,
            refit=refit,
            executor=executor,
            race=race,
        )
        if not (quiet or as_json):
            view.note(session.plan.study.question)
            if not session.plan.profile.decides:
                view.note(told_demonstration(session.plan))
            if session.plan.repeated:
                view.note(repeated_levels(session.plan))
            if session.plan.dropped:
                view.note(told_limit(session.plan))
            if (
                request.executor.name == "local"
            ):  # others train elsewhere, where nothing was measured
                timer = PlanTimer(FitStore(place), executor.width, refit)
                _foretell(session, view, timer, tracked=tracking == "mlflow")
        try:
            result = runner.run()
        except KeyboardInterrupt:
            view.close()
            return _interrupted(runner, view.console)
        finally:
            view.close()
            if runner.search is not None:
                runner.search.close()
    _print(result, runner, request, as_json=as_json, quiet=quiet)
    if result.failures:
        return _FAILED_FITS
    return _NOT_TRACKED if runner.dispatcher.incomplete else 0


def _foretell(session: Session, view: Silent, timer: PlanTimer, *, tracked: bool) -> None:
    """Say how long the study will take, and let the view go on with that."""
    from n2n_ablate.cli.plan import duration, estimates
    from n2n_ablate.errors import AblateError
    from n2n_ablate.runner.estimate import Forecast

    try:
        forecast = Forecast(*estimates(session, timer), tracked=tracked)
    except AblateError:  # a component fails later than in its first step: that costs its fits only
        return
    view.note(f"about {duration(forecast.seconds)} on {session.paired_data.machine.name}")

    def left(trial: str, confirmed: bool) -> str:
        seconds = forecast.finished(trial, confirmed=confirmed)
        return f"about {duration(seconds)} left" if seconds >= 2 else ""

    view.time_left = left


def _print(
    result: StudyResult, runner: Runner, request: Request, *, as_json: bool, quiet: bool
) -> None:
    from n2n_ablate.analysis import export
    from n2n_ablate.analysis.analyse import analyse
    from n2n_ablate.cli.plan import told_demonstration
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.study import next_steps, study_document

    out, header = results(), runner.header
    if as_json:
        stdout.write_json(export.to_json(result, header))
        return
    print_document(out, study_document(analyse(result, header), runner.plan.heeded))
    if not runner.plan.profile.decides:
        out.print(told_demonstration(runner.plan), markup=False, highlight=False)
    if not quiet:
        print_document(out, next_steps(_next(runner, request)))


def _next(runner: Runner, request: Request) -> list[tuple[str, str]]:
    """Return commands that may follow, each with what it is for."""
    name = runner.plan.study.name
    where = [] if request.output == Path("mlruns") else ["--output", str(request.output)]
    commands = [
        ("write the report: answer, figures, methods", ["report", name, *where]),
        ("browse curves and images", ["ui", name, *where]),
    ]
    if runner.search is not None:
        more = ["--trials", str(runner.plan.profile.trials * 2)]
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


def _interrupted(runner: Runner, console: Console) -> int:
    from n2n_ablate.report.text.progress import interrupted

    command = redact_command(["n2n-ablate", *_going_on(sys.argv[1:])])
    text = interrupted(len(runner.result.trials), runner.trained, command)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return _INTERRUPTED


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
