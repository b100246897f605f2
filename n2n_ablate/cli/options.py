"""Options that several commands share. A group of them is an object: see `grouping`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from n2n_ablate.cli.screen import say
from n2n_ablate.errors import StudyError
from n2n_ablate.redaction import STORAGE

if TYPE_CHECKING:
    from n2n_ablate.execute import Choice
    from n2n_ablate.runner.session import Request, RunOptions
    from n2n_ablate.storage.reopen import Reopened

MLRUNS = Path("mlruns")
Many: TypeAlias = list[str] | None
"""An option that may be repeated."""


def option(text: str, metavar: str | None = None, *names: str, **more: Any) -> Any:
    """Return an option with its help text; without a name it has that of its parameter."""
    return typer.Option(*names, metavar=metavar, help=text, **more)


def flag(text: str, *names: str, **more: Any) -> Any:
    """Return an option that takes no value."""
    return typer.Option(*names, help=text, **more)


_confirming = partial(option, rich_help_panel="Confirmation and racing")
_confirming_flag = partial(flag, rich_help_panel="Confirmation and racing")
_rare = partial(option, rich_help_panel="Rarely used")
_rare_flag = partial(flag, rich_help_panel="Rarely used")

Study = Annotated[str, typer.Argument(help="Name of a study, or a study file.", metavar="STUDY")]
Finished = Annotated[str, typer.Argument(help="Name of a study that was run.", metavar="STUDY")]
SourceImages = Annotated[Many, option("Where the images are (repeatable).", "SOURCE", "--images")]
Device = Annotated[str, option("auto, cpu, cuda or cuda:1.", "NAME")]
Output = Annotated[Path, option("Folder for results.", "DIR")]
Json = Annotated[bool, flag("Print JSON.", "--json")]
Quiet = Annotated[bool, flag("Print only the result.", "--quiet", "-q")]
Pairs = Annotated[Many, option("Measured pairs: folder or set (repeatable).", "SOURCE")]
_PRECISION = "auto, fp32, tf32 or bf16."
Precision = Annotated[str, option(_PRECISION, "NAME")]
_PLUGINS = "An additional folder of plugin files."
PluginsDir = Annotated[Path | None, option(_PLUGINS, "DIR")]
Channels = Annotated[str, _rare("Use these channels, each as an image.", "N,N")]
_TRACKING_URI = "MLflow server or database to use."
TrackingUri = Annotated[str, option(_TRACKING_URI, "URI")]


@dataclass(frozen=True)
class StudyOptions:
    """What of a study is run, and where: the same for `plan` and `study`."""

    profile: Annotated[str, option("Budget, such as quick or paper.", "NAME")] = ""
    settings: Annotated[
        Many, option("Add a level or change the baseline (repeatable).", "KEY=VALUE", "--set")
    ] = None
    images: Annotated[Many, option("Folder, file or builtin[:NAME] (repeatable).", "SOURCE")] = None
    pairs: Pairs = None
    seeds: Annotated[int | None, option("Number of seeds per image.", "N")] = None
    trials: Annotated[int | None, option("Maximum number of trials.", "N")] = None
    device: Device = "auto"
    output: Output = MLRUNS
    confirm_images: Annotated[
        Many, _confirming("Held-out images to confirm on (repeatable).", "SOURCE")
    ] = None
    confirm_scenes: Annotated[
        int | None, _confirming("Number of scenes of --pairs to hold out.", "N")
    ] = None
    first_seed: Annotated[int | None, _rare("Start the seeds at N, for a replication.", "N")] = None
    crop: Annotated[int | None, _rare("Side of the centre crop; 0: whole images.", "PIXELS")] = None
    white: Annotated[float | None, _rare("White in the files, e.g. 4095 for 12 bits.", "VALUE")] = (
        None
    )
    channels: Channels = ""
    precision: Annotated[str, _rare(_PRECISION, "NAME")] = "auto"
    plugins_dir: Annotated[Path | None, _rare(_PLUGINS, "DIR")] = None

    def request(self, study: str, executor: Choice | None = None) -> Request:
        """Return what is asked for."""
        from n2n_ablate.execute import Choice
        from n2n_ablate.runner.session import Request

        given = vars(self) | {"channels": channels_of(self.channels)}
        for name in ("settings", "images", "confirm_images", "pairs"):
            given[name] = given[name] or []
        return Request(study=study, executor=executor or Choice(), **given)


@dataclass(frozen=True)
class ClusterOptions:
    """What trains the fits."""

    executor: Annotated[str, _rare("local or ray (a cluster).", "NAME")] = "local"
    address: Annotated[str, _rare("A running Ray cluster, HOST:PORT.", "ADDRESS")] = ""
    gpus_per_stack: Annotated[
        float | None, _rare("Ray: share of a GPU for a stack of fits.", "SHARE")
    ] = None

    def choice(self) -> Choice:
        """Return who trains, unchecked."""
        from n2n_ablate.execute import Choice

        return Choice(self.executor, self.address, self.gpus_per_stack)


@dataclass(frozen=True)
class RerunOptions:
    """When a contrast has enough images, what is run again, and where results are tracked."""

    until_settled: Annotated[
        bool, _confirming_flag("Race: stop each contrast once it is decided.", "--until-settled")
    ] = False
    budget: Annotated[str, _confirming("Race: time limit, e.g. 20m.", "TIME")] = ""
    fresh: Annotated[bool, _rare_flag("Start a new search; fits stay cached.", "--fresh")] = False
    refit: Annotated[bool, _rare_flag("Retrain cached fits.", "--refit")] = False
    tracking: Annotated[str, _rare("mlflow or none.", "NAME")] = "mlflow"
    tracking_uri: Annotated[str, _rare(_TRACKING_URI, "URI")] = ""
    storage: Annotated[
        str, _rare(f"Search database (${STORAGE}).", "URL", envvar=STORAGE, show_envvar=False)
    ] = ""

    def chosen(self) -> RunOptions:
        """Return how the study is run."""
        from n2n_ablate.runner.session import RunOptions, race_of

        given = dict(vars(self))
        race = race_of(until_settled=given.pop("until_settled"), budget=given.pop("budget"))
        return RunOptions(race=race, **given)


@dataclass(frozen=True)
class PrintOptions:
    """What is printed."""

    as_json: Json = False
    quiet: Quiet = False


@dataclass(frozen=True)
class StoredRun:
    """Which run of a study that was run."""

    profile: Annotated[str, option("Latest run of this profile.", "NAME")] = ""
    key: Annotated[str, option("Start of the key of an earlier run.", "KEY", "--run")] = ""
    output: Output = MLRUNS

    def open(self, study: str, *, quiet: bool) -> Reopened:
        """Open the run of this key, else the latest of this profile, else the latest of all.

        Where there was a choice and nobody made it, one line on stderr says what was taken.
        """
        from n2n_ablate.storage import reopen, runs

        opened = reopen.reopen(self.output, study, self.profile, self.key)
        count = sum(self.profile in ("", run.profile) for run in opened.runs)
        if count > 1 and not (self.key or quiet):
            words = shlex.join(["n2n-ablate", "studies", study, *output_words(self.output)])
            run = runs.described(opened.journal)
            say(f"the latest of {count} runs: {run}; --run takes another: {words}")
        return opened


def say_problems(opened: Reopened, *, quiet: bool, prefix: str = "") -> None:
    """Say what is missing in a run that was opened."""
    for problem in () if quiet else opened.problems():
        say(f"note: {prefix}{problem}")


def output_words(output: Path) -> list[str]:
    """Return the words of a command that name the output folder, none for the usual one."""
    return [] if output == MLRUNS else ["--output", str(output)]


def channels_of(text: str) -> tuple[int, ...]:
    """Return the channels that `--channels` names."""
    if text and not re.fullmatch(r"[1-9]\d{0,4}(,[1-9]\d{0,4})*", text):
        msg = f"--channels must be numbers from 1, such as 1 or 1,3, got '{text}'"
        raise StudyError(msg)
    return tuple(map(int, text.split(","))) if text else ()
