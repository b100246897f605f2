"""Writes a study that was run in any of the formats of a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from n2n_ablate.analysis.analyse import to_json
from n2n_ablate.analysis.frames import stages_table
from n2n_ablate.errors import StudyError
from n2n_ablate.records import StudyTrials
from n2n_ablate.registry import Registry
from n2n_ablate.report.build import report_document
from n2n_ablate.report.document import Document, Figure
from n2n_ablate.report.figures.fonts import save
from n2n_ablate.report.formats import check_formats
from n2n_ablate.report.render.html import html
from n2n_ablate.report.render.latex import latex
from n2n_ablate.report.render.markdown import markdown
from n2n_ablate.report.sources import sources
from n2n_ablate.storage.recovered_images import gallery
from n2n_ablate.storage.reopen import Reopened

_RENDERERS = {"html": html, "md": markdown, "latex": latex}


def written(
    study: Reopened,
    kind: str,
    registry: Registry,
    images: Sequence[str] = (),
    *,
    diagnostics: bool = True,
    figures: Path | None = None,
    figure_format: str = "pdf",
) -> tuple[str | bytes, tuple[str, ...]]:
    """Return the report, and a sentence for everything that is missing in it.

    `kind`: one of `formats.FORMATS`; `registry`: makes the noisy images again, draws and measures the samplers;
    `images`: where to look for the images first, see `gallery`; `diagnostics`: measure the samplers, which
    takes seconds for each; `figures`: a folder to write the drawn figures into, too; `figure_format`: one of
    `formats.FIGURE_FORMATS`.

    Raises:
        StudyError: There is no such format.
        OSError: A figure cannot be written.
    """
    check_formats(kind, figure_format)
    if kind == "csv":
        return stages_table(study.result).to_csv(index=False), tuple(study.problems())
    if kind == "parquet":
        return _parquet(study.result), tuple(study.problems())
    if kind == "json":
        data = to_json(study.result, study.header)
        return json.dumps(data, indent=2, allow_nan=False) + "\n", tuple(study.problems())
    if kind == "latex" and figures is None:
        given = sources(study)
        return latex(report_document(given)), tuple(given.problems)
    document, problems = full_document(study, registry, images, diagnostics=diagnostics)
    if figures is not None:
        save_figures(document, figures, figure_format)
    return _RENDERERS[kind](document), problems


def _parquet(result: StudyTrials) -> bytes:
    try:
        return stages_table(result).to_parquet(index=False)
    except ImportError as error:
        msg = "--format parquet needs pyarrow: pip install pyarrow. The same rows: --format csv."
        raise StudyError(msg) from error


def full_document(
    study: Reopened, registry: Registry, images: Sequence[str] = (), *, diagnostics: bool = True
) -> tuple[Document, tuple[str, ...]]:
    """Return the report with its figures as a document; arguments and problems as in `written`."""
    later = study.header.confirmed
    given = sources(
        study,
        gallery(study.header, registry, images),
        gallery(later, registry, images) if later else None,
        registry if diagnostics else None,
        figures=True,
    )
    document = report_document(given, registry)
    # Only making its pictures shows whether the stored images are whole.
    damaged = study.store.imageless_told()
    return document, tuple(dict.fromkeys((*given.problems, *damaged)))


def save_figures(document: Document, folder: Path, kind: str) -> list[Path]:
    """Write every drawn figure of a document into a folder; return the files.

    `kind`: one of `formats.FIGURE_FORMATS`.

    Raises:
        OSError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for block in (each for each in document.blocks if isinstance(each, Figure)):
        for number, figure in enumerate(block.parts):
            suffix = f"-{number + 1}" if number else ""
            path = folder / f"{block.key}{suffix}.{kind}"
            save(figure, path, bbox_inches="tight", pad_inches=0.04)
            paths.append(path)
    return paths
