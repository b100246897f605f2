"""Options that several commands share. A group of them is an object: see `grouping`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from n2n_ablate.errors import StudyError
from n2n_ablate.redaction import STORAGE

if TYPE_CHECKING:
    from n2n_ablate.execute import Choice
    from n2n_ablate.runner.session import Request

Many: TypeAlias = list[str] | None
"""An option that may be repeated."""


def _option(text: str, *names: str, metavar: str | None = None, **more: Any) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, **more)


_confirming = partial(_option, rich_help_panel="Confirmation and racing")
_cluster = partial(_option, rich_help_panel="Cluster")
_rare = partial(_option, rich_help_panel="Rarely used")

Study = Annotated[
    str, typer.Argument(help="Name of a study, or a study file (TOML).", metavar="STUDY")
]
Finished = Annotated[str, typer.Argument(help="Name of a study that was run.", metavar="STUDY")]
_RAN = "Latest run of this profile; by default the latest of all."
Ran = Annotated[str, _option(_RAN, "--profile", metavar="NAME")]
_RUN = "An earlier run, by the beginning of its key: n2n-ablate studies STUDY lists them."
Run = Annotated[str, _option(_RUN, "--run", metavar="KEY")]
_FOUND = (
    "Where the images are now: a folder or a file. They are recognized by their pixels. Repeatable."
)
FoundImages = Annotated[Many, _option(_FOUND, "--images", metavar="SOURCE")]
Device = Annotated[str, _option("auto, cpu, cuda or cuda:1.", metavar="NAME")]
Output = Annotated[Path, _option("Folder for results.", metavar="DIR")]
Json = Annotated[bool, _option("Print JSON.", "--json")]
Quiet = Annotated[bool, _option("Print only the result.", "--quiet", "-q")]
_PAIRS = "Measured noise: folder of shots, or a set. Repeatable."
Pairs = Annotated[Many, _option(_PAIRS, "--pairs", metavar="FOLDER")]
_PRECISION = "auto, fp32 (exact), tf32 or bf16."
Precision = Annotated[str, _option(_PRECISION, metavar="NAME")]
_PLUGINS = "An additional folder of plugin files."
PluginsDir = Annotated[Path | None, _option(_PLUGINS, metavar="DIR")]
_CHANNELS = "Channels to use where they are not colours; each is an image."
Channels = Annotated[str, _rare(_CHANNELS, metavar="N,N")]

# Of the groups below only.
_Profile = Annotated[
    str, _option("Budget in the study file, such as quick or paper.", metavar="NAME")
]
_SET = "Add a level to a factor, or change the baseline. Repeatable."
_Settings = Annotated[Many, _option(_SET, "--set", metavar="KEY=VALUE")]
_IMAGES = "Folder, file, builtin or builtin:NAME. Repeatable."
_Images = Annotated[Many, _option(_IMAGES, "--images", metavar="SOURCE")]
_SEEDS = "Number of seeds per image (2 means seeds 0 and 1)."
_Seeds = Annotated[int | None, _option(_SEEDS, metavar="N")]
_TRIALS = "Maximum number of trials, including the baseline."
_Trials = Annotated[int | None, _option(_TRIALS, metavar="N")]
_CONFIRM = "Held-out images for the confirmation. Repeatable."
_ConfirmImages = Annotated[Many, _confirming(_CONFIRM, "--confirm-images", metavar="SOURCE")]
_FIRST_SEED = "Repeat the whole study with other random numbers: its seeds start at N."
_FirstSeed = Annotated[int | None, _rare(_FIRST_SEED, "--first-seed", metavar="N")]
_SCENES = "With measured pairs: hold out N scenes of each condition for the confirmation."
_ConfirmScenes = Annotated[int | None, _confirming(_SCENES, "--confirm-scenes", metavar="N")]
_CROP = "Side of the centre crop; 0 for whole images."
_Crop = Annotated[int | None, _rare(_CROP, metavar="PIXELS")]
_WHITE = "Value of white in the files, e.g. 4095 for 12 bits in 16."
_White = Annotated[float | None, _rare(_WHITE, metavar="VALUE")]
_RarePrecision = Annotated[str, _rare(_PRECISION, "--precision", metavar="NAME")]
_RarePluginsDir = Annotated[Path | None, _rare(_PLUGINS, "--plugins-dir", metavar="DIR")]
_Executor = Annotated[str, _cluster("local (this process) or ray (a cluster).", metavar="NAME")]
_ADDRESS = "A running Ray cluster; by default one is started here."
_Address = Annotated[str, _cluster(_ADDRESS, metavar="HOST:PORT")]
_GPUS = "Ray: share of a GPU for a stack of fits, e.g. 0.25."
_GpusPerStack = Annotated[float | None, _cluster(_GPUS, metavar="SHARE")]
_SETTLED = "Racing: interim analyses; contrasts stop when decided."
_UntilSettled = Annotated[bool, _confirming(_SETTLED, "--until-settled")]
_BUDGET = "Racing: start no batch of images that would end later, e.g. 20m."
_Budget = Annotated[str, _confirming(_BUDGET, metavar="TIME")]
_Fresh = Annotated[bool, _rare("Start a new search; finished fits stay cached.", "--fresh")]
_Refit = Annotated[bool, _rare("Train again what is already stored.", "--refit")]
_Tracking = Annotated[str, _rare("mlflow or none.", metavar="NAME")]
_URI = "MLflow server or database instead of the output folder's."
_TrackingUri = Annotated[str, _rare(_URI, metavar="URI")]
_STORAGE = "Database of searches (SQLAlchemy) instead of the output folder's."
_Storage = Annotated[str, _rare(_STORAGE, metavar="URL", envvar=STORAGE)]


@dataclass(frozen=True)
class StudyOptions:
    """What of a study is run, and where: the same for `plan` and `study`."""

    profile: _Profile = ""
    settings: _Settings = None
    images: _Images = None
    pairs: Pairs = None
    seeds: _Seeds = None
    trials: _Trials = None
    device: Device = "auto"
    output: Output = Path("mlruns")
    confirm_images: _ConfirmImages = None
    first_seed: _FirstSeed = None
    confirm_scenes: _ConfirmScenes = None
    crop: _Crop = None
    white: _White = None
    channels: Channels = ""
    precision: _RarePrecision = "auto"
    plugins_dir: _RarePluginsDir = None

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

    executor: _Executor = "local"
    address: _Address = ""
    gpus_per_stack: _GpusPerStack = None


@dataclass(frozen=True)
class RerunOptions:
    """When a contrast has enough images, what is run again, and where results are tracked."""

    until_settled: _UntilSettled = False
    budget: _Budget = ""
    fresh: _Fresh = False
    refit: _Refit = False
    tracking: _Tracking = "mlflow"
    tracking_uri: _TrackingUri = ""
    storage: _Storage = ""


@dataclass(frozen=True)
class PrintOptions:
    """What is printed."""

    as_json: Json = False
    quiet: Quiet = False

    @property
    def brief(self) -> bool:
        """Whether nothing but the result is wanted."""
        return self.as_json or self.quiet


def channels_of(text: str) -> tuple[int, ...]:
    """Return the channels that `--channels` names."""
    if not text:
        return ()
    if not re.fullmatch(r"[1-9]\d{0,4}(,[1-9]\d{0,4})*", text):
        msg = f"--channels must be numbers from 1, such as 1 or 1,3, got '{text}'"
        raise StudyError(msg)
    return tuple(map(int, text.split(",")))
