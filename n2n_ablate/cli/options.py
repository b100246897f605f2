"""Options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from n2n_ablate.errors import StudyError

_BUDGET, _WHERE = "Budget", "Where"

Study = Annotated[
    str, typer.Argument(help="Name of a study, or a study file (TOML).", metavar="STUDY")
]
Finished = Annotated[str, typer.Argument(help="Name of a study that was run.", metavar="STUDY")]
Ran = Annotated[
    str, typer.Option("--profile", help="The last run with this profile; by default the last run.")
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
        help="Where the images are now: a folder or a file. They are known by their pixels. "
        "May be repeated.",
    ),
]
Profile = Annotated[
    str,
    typer.Option(help="Budget from the study file, e.g. quick or paper.", rich_help_panel=_BUDGET),
]
Trials = Annotated[
    int | None, typer.Option(help="Most trials, the baseline included.", rich_help_panel=_BUDGET)
]
Seeds = Annotated[
    int | None,
    typer.Option(
        help="Seeds per image, a count: 2 are 0 and 1. The study file can name others.",
        rich_help_panel=_BUDGET,
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--images",
        help="A folder, a file, builtin, or builtin:NAME. May be repeated.",
        rich_help_panel=_BUDGET,
    ),
]
Crop = Annotated[
    int | None,
    typer.Option(
        help="Side of the centre crop in pixels; 0 for whole images.", rich_help_panel=_BUDGET
    ),
]
White = Annotated[
    float | None,
    typer.Option(
        metavar="VALUE",
        help="Sample that is white, e.g. 4095 for 12 bits stored in 16; default: the maximum of "
        "the file's type.",
        rich_help_panel=_BUDGET,
    ),
]
Channels = Annotated[
    str,
    typer.Option(
        metavar="N,N",
        help="Which channels to use of files whose channels are not colours, counted from 1; each "
        "is an image.",
        rich_help_panel=_BUDGET,
    ),
]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--pairs",
        metavar="FOLDER",
        help="Measured noise: a folder of noisy shots with references, or a named set such as cc:. "
        "Replaces the noise and the images of the study; repeat it for several conditions.",
        rich_help_panel=_BUDGET,
    ),
]
ConfirmImages = Annotated[
    list[str] | None,
    typer.Option(
        "--confirm-images",
        help="Confirm on these images, which no trial may have seen: as --images. May be repeated.",
        rich_help_panel=_BUDGET,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KIND.PARAMETER=VALUE",
        help="On a factor of the study: one more level. Elsewhere: changes the baseline. "
        "May be repeated.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.", rich_help_panel=_WHERE)]
Precision = Annotated[
    str, typer.Option(help="auto, fp32 (exact), tf32 or bf16.", rich_help_panel=_WHERE)
]
Executor = Annotated[
    str,
    typer.Option(help="local (this process) or ray (a cluster).", rich_help_panel=_WHERE),
]
Address = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="A running Ray cluster; without it one is started on this machine.",
        rich_help_panel=_WHERE,
    ),
]
GpusPerStack = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="On Ray: the share of a GPU that a stack of fits takes, e.g. 0.25.",
        rich_help_panel=_WHERE,
    ),
]
Output = Annotated[
    Path, typer.Option(help="Folder for results, stores and pictures.", rich_help_panel=_WHERE)
]
PluginsDir = Annotated[
    Path | None, typer.Option(help="A further folder of plugin files.", rich_help_panel=_WHERE)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only.")]


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
