"""Options that several commands share. A group of them is an object: see `grouping`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.errors import StudyError
from n2n_ablate.redaction import STORAGE

if TYPE_CHECKING:
    from n2n_ablate.execute import Choice
    from n2n_ablate.runner.session import Request

_CONFIRM = "Confirmation and racing"
_RARE = "Rarely used"
_CLUSTER = "Cluster"

Study = Annotated[
    str, typer.Argument(help="Name of a study, or a study file (TOML).", metavar="STUDY")
]
Finished = Annotated[str, typer.Argument(help="Name of a study that was run.", metavar="STUDY")]
Ran = Annotated[
    str,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Latest run of this profile; by default the latest of all.",
    ),
]
Run = Annotated[
    str,
    typer.Option(
        "--run",
        metavar="KEY",
        help="An earlier run, by the beginning of its key: n2n-ablate studies STUDY lists them.",
    ),
]
FoundImages = Annotated[
    list[str] | None,
    typer.Option(
        "--images",
        metavar="SOURCE",
        help="Where the images are now: a folder or a file. They are recognized by their pixels. "
        "Repeatable.",
    ),
]
Profile = Annotated[
    str, typer.Option(metavar="NAME", help="Budget in the study file, such as quick or paper.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Add a level to a factor, or change the baseline. Repeatable.",
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--images",
        metavar="SOURCE",
        help="Folder, file, builtin or builtin:NAME. Repeatable.",
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of seeds per image (2 means seeds 0 and 1)."),
]
Trials = Annotated[
    int | None,
    typer.Option(metavar="N", help="Maximum number of trials, including the baseline."),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:1.")]
Output = Annotated[Path, typer.Option(metavar="DIR", help="Folder for results.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.")]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--pairs",
        metavar="FOLDER",
        help="Measured noise: folder of shots, or a set. Repeatable.",
    ),
]
ConfirmImages = Annotated[
    list[str] | None,
    typer.Option(
        "--confirm-images",
        metavar="SOURCE",
        help="Held-out images for the confirmation. Repeatable.",
        rich_help_panel=_CONFIRM,
    ),
]
ConfirmScenes = Annotated[
    int | None,
    typer.Option(
        "--confirm-scenes",
        metavar="N",
        help="With measured pairs: hold out N scenes of each condition for the confirmation.",
        rich_help_panel=_CONFIRM,
    ),
]
UntilSettled = Annotated[
    bool,
    typer.Option(
        "--until-settled",
        help="Racing: interim analyses; contrasts stop when decided.",
        rich_help_panel=_CONFIRM,
    ),
]
Budget = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Racing: start no batch of images that would end later, e.g. 20m.",
        rich_help_panel=_CONFIRM,
    ),
]
Executor = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="local (this process) or ray (a cluster).", rich_help_panel=_CLUSTER
    ),
]
Address = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="A running Ray cluster; by default one is started here.",
        rich_help_panel=_CLUSTER,
    ),
]
GpusPerStack = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Ray: share of a GPU for a stack of fits, e.g. 0.25.",
        rich_help_panel=_CLUSTER,
    ),
]
Crop = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        help="Side of the centre crop; 0 for whole images.",
        rich_help_panel=_RARE,
    ),
]
White = Annotated[
    float | None,
    typer.Option(
        metavar="VALUE",
        help="Value of white in the files, e.g. 4095 for 12 bits in 16.",
        rich_help_panel=_RARE,
    ),
]
Channels = Annotated[
    str,
    typer.Option(
        metavar="N,N",
        help="Channels to use where they are not colours; each is an image.",
        rich_help_panel=_RARE,
    ),
]
Precision = Annotated[str, typer.Option(metavar="NAME", help="auto, fp32 (exact), tf32 or bf16.")]
PluginsDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="An additional folder of plugin files.")
]
RarePrecision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="auto, fp32 (exact), tf32 or bf16.",
        rich_help_panel=_RARE,
    ),
]
RarePluginsDir = Annotated[
    Path | None,
    typer.Option(
        "--plugins-dir",
        metavar="DIR",
        help="An additional folder of plugin files.",
        rich_help_panel=_RARE,
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh", help="Start a new search; finished fits are reused.", rich_help_panel=_RARE
    ),
]
Refit = Annotated[
    bool,
    typer.Option("--refit", help="Train again what is already stored.", rich_help_panel=_RARE),
]
Tracking = Annotated[
    str, typer.Option(metavar="NAME", help="mlflow or none.", rich_help_panel=_RARE)
]
TrackingUri = Annotated[
    str,
    typer.Option(
        metavar="URI",
        help="MLflow server or database instead of the output folder's.",
        rich_help_panel=_RARE,
    ),
]
Storage = Annotated[
    str,
    typer.Option(
        metavar="URL",
        help="Database of searches (SQLAlchemy) instead of the output folder's.",
        rich_help_panel=_RARE,
        envvar=STORAGE,
    ),
]


@dataclass(frozen=True)
class StudyOptions:
    """What of a study is run, and where: the same for `plan` and `study`."""

    profile: Profile = ""
    settings: Settings = None
    images: Images = None
    pairs: Pairs = None
    seeds: Seeds = None
    trials: Trials = None
    device: Device = "auto"
    output: Output = Path("mlruns")
    confirm_images: ConfirmImages = None
    confirm_scenes: ConfirmScenes = None
    crop: Crop = None
    white: White = None
    channels: Channels = ""
    precision: RarePrecision = "auto"
    plugins_dir: RarePluginsDir = None

    def request(self, study: str, executor: Choice | None = None) -> Request:
        """Return what is asked for.

        Raises:
            StudyError: `--channels` is no list of numbers.
        """
        from n2n_ablate.execute import Choice
        from n2n_ablate.runner.session import Request

        return Request(
            study=study,
            profile=self.profile,
            settings=self.settings or [],
            trials=self.trials,
            seeds=self.seeds,
            images=self.images or [],
            crop=self.crop,
            white=self.white,
            channels=channels_of(self.channels),
            confirm_images=self.confirm_images or [],
            confirm_scenes=self.confirm_scenes,
            pairs=self.pairs or [],
            device=self.device,
            precision=self.precision,
            executor=executor or Choice(),
            output=self.output,
            plugins_dir=self.plugins_dir,
        )


@dataclass(frozen=True)
class ClusterOptions:
    """What trains the fits."""

    executor: Executor = "local"
    address: Address = ""
    gpus_per_stack: GpusPerStack = None


@dataclass(frozen=True)
class RerunOptions:
    """When a contrast has enough images, what is run again, and where results are tracked."""

    until_settled: UntilSettled = False
    budget: Budget = ""
    fresh: Fresh = False
    refit: Refit = False
    tracking: Tracking = "mlflow"
    tracking_uri: TrackingUri = ""
    storage: Storage = ""


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
    """Return the channels that `--channels` names.

    Raises:
        StudyError: It is no list of whole numbers from 1.
    """
    if not text:
        return ()
    if not re.fullmatch(r"[1-9]\d{0,4}(,[1-9]\d{0,4})*", text):
        msg = f"--channels must be numbers from 1, such as 1 or 1,3, got '{text}'"
        raise StudyError(msg)
    return tuple(map(int, text.split(",")))
