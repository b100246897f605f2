"""Writes the tables of a study for a tracker to keep: rows per fit, per trial, of samplers, and a summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.diagnoses import ByCondition
from n2n_ablate.analysis.frames import fit_rows, summary_frame
from n2n_ablate.diagnostics.concerns import flat
from n2n_ablate.files import slugs
from n2n_ablate.records import StudyTrials, TrialResult
from n2n_ablate.report import samplers, study, tables
from n2n_ablate.report.document import Block, Document, Heading
from n2n_ablate.report.render.markdown import escape, markdown
from n2n_ablate.study import Plan


def write_fits(path: Path, plan: Plan, result: TrialResult) -> None:
    """Write one row per fit, see `fit_rows`."""
    _write_csv(path, *fit_rows(plan, [result]))


def fits_csv(result: StudyTrials) -> str:
    """Return one row per fit as CSV; `stage` says whether it is one of the confirmation."""
    stages = {"trials": result.trials}
    if result.confirmed:
        stages["confirmation"] = result.confirmed.trials
    names = [name for name, trials in stages.items() for trial in trials for _ in trial.rows]
    (study, *head), rows = fit_rows(result.plan, [each for own in stages.values() for each in own])
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([study, "stage", *head])
    writer.writerows([row[0], name, *row[1:]] for name, row in zip(names, rows, strict=True))
    return buffer.getvalue()


def write_diagnostics(path: Path, diagnoses: Mapping[str, ByCondition]) -> None:
    """Write what was measured of samplers: a row for all images together (`all`), then one each."""
    rows = [
        (trial, label, image, *flat(figures).values())
        for trial, by_condition in diagnoses.items()
        for label, own in by_condition.items()
        for image, figures in {"all": own.total, **own.images}.items()
    ]
    names = next(list(flat(own.total)) for each in diagnoses.values() for own in each.values())
    _write_csv(path, ["trial", "condition", "image", *names], rows)


def write_study(
    folder: Path, result: StudyTrials, diagnoses: Mapping[str, ByCondition] | None = None
) -> None:
    """Write the table of every condition, the study file and what was measured of the samplers."""
    analysis, plan = analyse(result), result.plan
    names = slugs(condition.label for condition in plan.conditions)
    stages = {"": analysis}
    if analysis.confirmation is not None:
        stages["confirmed."] = analysis.confirmation.analysis
    for prefix, stage in stages.items():
        for label, table in summary_frame(stage).groupby("condition", sort=False):
            infix = "" if len(names) == 1 else f".{names[str(label)]}"
            table.to_csv(folder / f"{prefix}table{infix}.csv", index=False)
    if diagnoses:
        write_diagnostics(folder / "diagnostics.csv", diagnoses)
    if plan.study.text:
        (folder / "study.toml").write_text(plan.study.text, encoding="utf-8")


def headline(plan: Plan) -> str:
    """Return the study's question as Markdown."""
    return f"**{escape(plan.study.question)}**"


def summary(result: StudyTrials, diagnoses: Mapping[str, ByCondition] | None = None) -> str:
    """Return answer and tables as Markdown, for the front page of a tracker."""
    analysis = analyse(result)
    blocks: list[Block] = []
    for condition in analysis.conditions:
        blocks.append(Heading(condition.condition))
        blocks += study.answer_blocks(analysis, condition, dots=False)
        blocks += study.trial_blocks(analysis, condition)
        names = tables.row_names(condition)
        measured = {
            names.get(name, name): each[condition.condition]
            for name, each in (diagnoses or {}).items()
            if condition.condition in each
        }
        if measured:
            blocks += [
                Heading("Diagnostics of the samplers", 3),
                samplers.diagnostics_table(measured, "trial"),
            ]
    if table := tables.summary_table(analysis):
        blocks.append(table)
    return markdown(Document(analysis.question, "", blocks))


def _write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
