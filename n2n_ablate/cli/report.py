"""`n2n-ablate report`: a study that was run, as a page, as text, or as tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from n2n_ablate.cli import grouping, options, stdout
from n2n_ablate.cli.opened import open_run
from n2n_ablate.cli.screen import messages, say
from n2n_ablate.errors import StoreError
from n2n_ablate.files import make_folders, remove_leftovers, write_whole


@dataclass(frozen=True)
class Asked:
    """Which run, in which form, where to."""

    kind: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="html, md, latex, csv or parquet (a row per fit), or json."
        ),
    ] = "html"
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write. Without it, html and parquet go to reports/ in the output folder "
            "and the other formats are printed.",
        ),
    ] = None
    profile: options.Ran = ""
    key: options.Run = ""
    images: options.FoundImages = None
    output: options.Output = Path("mlruns")
    plugins_dir: options.PluginsDir = None
    diagnostics: Annotated[
        bool,
        typer.Option(
            "--diagnostics/--no-diagnostics",
            help="Measure leak, bias and gap of every sampler, which takes seconds for each.",
        ),
    ] = True
    figures: Annotated[
        Path | None, typer.Option(help="Folder to write every figure into, for a paper.")
    ] = None
    figure_format: Annotated[str, typer.Option(help="pdf, svg or png.")] = "pdf"


@grouping.grouped
def run(study: options.Finished, asked: Asked, *, quiet: options.Quiet = False) -> None:
    """Write the report of a study: answer, tables, figures, images, methods.

    The HTML page is one file that works offline.

    Examples:
        n2n-ablate report center-weight

        n2n-ablate report center-weight --format latex -o table.tex --figures figures/
    """
    from n2n_ablate.registry import Registry
    from n2n_ablate.report.write import check_formats, written

    check_formats(asked.kind, asked.figure_format)
    opened = open_run(asked.output, study, asked.profile, asked.key, quiet=quiet)
    registry = Registry(plugins_dir=asked.plugins_dir, local_if_needed=True)
    with messages().status("Writing the report; measuring the samplers takes longest."):
        try:
            text, problems = written(
                opened,
                asked.kind,
                registry,
                asked.images or [],
                diagnostics=asked.diagnostics,
                figures=asked.figures,
                figure_format=asked.figure_format,
            )
        except OSError as error:
            msg = f"the figures cannot be written to '{asked.figures}': {error.strerror}. Use --figures DIR."
            raise StoreError(msg) from error
    out = asked.out
    if out is None and asked.kind in ("html", "parquet"):
        earlier = "" if opened.latest else f"-{opened.journal.key}"
        out = asked.output / "reports" / f"{study}{earlier}.{asked.kind}"
    if out is None:
        print(text, end="", file=stdout.stream())
    else:
        _save(out, text)
    for problem in () if quiet else problems:
        say(f"note: {problem}")
    if out is not None:
        print(out, file=stdout.stream())


def _save(path: Path, text: str | bytes) -> None:
    try:
        make_folders(path.parent)
        remove_leftovers(path.parent)
        write_whole(path, text)
    except OSError as error:
        msg = f"the report '{path}' cannot be written: {error.strerror}. Use -o FILE."
        raise StoreError(msg) from error
