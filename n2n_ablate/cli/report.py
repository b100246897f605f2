"""`n2n-ablate report`: a study that was run, as a page, as text, or as tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from n2n_ablate.cli import grouping, options
from n2n_ablate.cli.screen import messages, say, stream
from n2n_ablate.errors import StoreError
from n2n_ablate.files import make_folders, remove_leftovers, write_whole
from n2n_ablate.report.formats import FORMATS, check_formats

if TYPE_CHECKING:
    from n2n_ablate.storage.reopen import Reopened


@dataclass(frozen=True)
class Options:
    """In which form, and where to."""

    kind: Annotated[str, options.option(f"{', '.join(FORMATS)}.", "FORMAT", "--format", "-f")] = (
        "html"
    )
    out: Annotated[Path | None, options.option("File to write.", "FILE", "--out", "-o")] = None
    figures: Annotated[Path | None, options.option("Folder for every figure.", "DIR")] = None
    figure_format: Annotated[str, options.option("pdf, svg or png.", "FORMAT")] = "pdf"
    no_diagnostics: Annotated[
        bool, options.flag("Do not measure the samplers.", "--no-diagnostics")
    ] = False
    images: options.SourceImages = None
    plugins_dir: options.PluginsDir = None


@grouping.grouped
def run(
    study: options.Finished,
    asked: Options,
    chosen: options.StoredRun,
    *,
    quiet: options.Quiet = False,
) -> None:
    """Write the report of a study: answer, tables, figures, methods.

    The HTML page is one file that works offline. csv and parquet have a row per fit. Without --out,
    html and parquet go to reports/ in the output folder and the other formats are printed.

    Examples:
        n2n-ablate report center-weight
        n2n-ablate report center-weight --format latex -o t.tex --figures figures
    """
    check_formats(asked.kind, asked.figure_format)
    opened = chosen.open(study, quiet=quiet)
    text, problems = _written(opened, asked)
    out = asked.out
    if out is None and asked.kind in ("html", "parquet"):
        earlier = "" if opened.latest else f"-{opened.journal.key}"
        out = chosen.output / "reports" / f"{study}{earlier}.{asked.kind}"
    if out is None:
        print(text, end="", file=stream())
    else:
        _save(out, text)
    for problem in () if quiet else problems:
        say(f"note: {problem}")
    if out is not None:
        print(out, file=stream())


def _written(opened: Reopened, asked: Options) -> tuple[str | bytes, tuple[str, ...]]:
    from n2n_ablate.registry import Registry
    from n2n_ablate.report.write import written

    registry = Registry(plugins_dir=asked.plugins_dir, local_if_needed=True)
    with messages().status("Writing the report; measuring the samplers takes longest."):
        try:
            return written(
                opened,
                asked.kind,
                registry,
                asked.images or [],
                diagnostics=not asked.no_diagnostics,
                figures=asked.figures,
                figure_format=asked.figure_format,
            )
        except OSError as error:
            msg = f"the figures cannot be written to '{asked.figures}': {error.strerror}. Use --figures DIR."
            raise StoreError(msg) from error


def _save(path: Path, text: str | bytes) -> None:
    try:
        make_folders(path.parent)
        remove_leftovers(path.parent)
        write_whole(path, text)
    except OSError as error:
        msg = f"the report '{path}' cannot be written: {error.strerror}. Use -o FILE."
        raise StoreError(msg) from error
