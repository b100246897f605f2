"""Writes a study that was run in any of the formats of a report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from n2n_ablate.analysis import export
from n2n_ablate.errors import StudyError
from n2n_ablate.registry import Registry
from n2n_ablate.report.latex import latex
from n2n_ablate.report.markdown import markdown
from n2n_ablate.report.model import build
from n2n_ablate.report.page import page
from n2n_ablate.report.trial_files import fit_rows
from n2n_ablate.storage.recovered_images import gallery
from n2n_ablate.storage.reopen import Reopened

FORMATS = ("html", "md", "latex", "csv", "json")


def check_format(kind: str) -> None:
    """Check that there is such a format before anything is read for it.

    Raises:
        StudyError: There is not.
    """
    if kind not in FORMATS:
        msg = f"--format cannot be '{kind}'. Use {', '.join(FORMATS[:-1])} or {FORMATS[-1]}."
        raise StudyError(msg)


def written(
    found: Reopened,
    kind: str,
    registry: Registry,
    images: Sequence[str] = (),
    *,
    diagnostics: bool = True,
) -> tuple[str, tuple[str, ...]]:
    """Return the report, and a sentence for everything that is missing in it.

    Args:
        found: The study.
        kind: One of `FORMATS`.
        registry: Makes the noisy images again, draws and measures the samplers.
        images: Where to look for the images first, see `gallery`.
        diagnostics: Measure the samplers, which takes seconds for each.

    Raises:
        StudyError: There is no such format.
    """
    check_format(kind)
    if kind == "csv":
        return _fits(found), tuple(found.problems())
    if kind == "json":
        data = export.to_json(found.result, found.header)
        return json.dumps(data, indent=2, allow_nan=False) + "\n", tuple(found.problems())
    if kind == "latex":
        report = build(found)
        return latex(report), tuple(report.problems)
    later = found.header.confirmed
    report = build(
        found,
        gallery(found.header, registry, images),
        registry if diagnostics else None,
        gallery(later, registry, images) if later else None,
    )
    text = page(report, registry) if kind == "html" else markdown(report)
    # Only making its pictures shows whether the stored images are whole.
    return text, (*report.problems, *found.store.imageless_told())


def _fits(found: Reopened) -> str:
    """Return one row per fit, tidy; `stage` says whether it is one of the confirmation."""
    confirmed = found.result.confirmed
    stages = {"trials": found.result.trials, "confirmation": confirmed.trials if confirmed else ()}
    trials = [item for own in stages.values() for item in own]
    (study, *head), rows = fit_rows(found.plan, trials)
    names = [name for name, own in stages.items() for item in own for _ in item.rows]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((study, "stage", *head))
    writer.writerows((row[0], name, *row[1:]) for name, row in zip(names, rows, strict=True))
    return buffer.getvalue()
