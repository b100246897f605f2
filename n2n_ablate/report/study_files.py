"""Writes the tables of a study for a tracker to keep: rows per fit, per trial, of samplers, and a summary."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.diagnoses import ByCondition
from n2n_ablate.analysis.study_records import ConditionAnalysis, StudyAnalysis
from n2n_ablate.diagnostics.concerns import flat
from n2n_ablate.records import StudyResult, TrialResult
from n2n_ablate.report import samplers, study, tables
from n2n_ablate.report.document import Block, Cell, Column, Document, Heading, Number, Row, Table
from n2n_ablate.report.file_names import slugs
from n2n_ablate.report.render.markdown import escape, markdown
from n2n_ablate.study import Plan


def write_fits(path: Path, plan: Plan, result: TrialResult) -> None:
    """Write one row per fit, see `fit_rows`."""
    _write_csv(path, *fit_rows(plan, [result]))


def fits_table(result: StudyResult) -> Table:
    """Return one row per fit, tidy; `stage` says whether it is one of the confirmation."""
    confirmed = result.confirmed
    stages = {"trials": result.trials, "confirmation": confirmed.trials if confirmed else ()}
    trials = [trial for each in stages.values() for trial in each]
    (study, *head), rows = fit_rows(result.plan, trials)
    names = [name for name, each in stages.items() for trial in each for _ in trial.rows]
    cells = [
        Row([str(row[0]), name, *map(_cell, row[1:])])
        for name, row in zip(names, rows, strict=True)
    ]
    return Table([Column(study), Column("stage"), *map(Column, head)], cells)


def _cell(value: object) -> Cell:
    if isinstance(value, float):
        return Number(value)
    return value if isinstance(value, int) else str(value)


def fit_rows(plan: Plan, trials: Sequence[TrialResult]) -> tuple[list[str], list[Sequence[object]]]:
    """Return titles and one row per fit, tidy: every number, for anybody's own statistics."""
    rows = [(item.trial, row) for item in trials for row in item.rows]
    metrics = list(dict.fromkeys([*plan.metrics, *(k for _, r in rows for k in r.result.figures)]))
    head = ["study", "trial", "role", "condition", "image", "seed"]
    return [*head, *metrics, "seconds", "failure", "fit"], [
        (
            *(plan.study.name, trial.name, trial.role, row.condition, row.image, row.seed),
            *(row.result.figures.get(name, "") for name in metrics),
            *(row.result.seconds, row.result.failure, row.result.key),
        )
        for trial, row in rows
    ]


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
    folder: Path, result: StudyResult, diagnoses: Mapping[str, ByCondition] | None = None
) -> None:
    """Write the table of every condition, the study file and what was measured of the samplers."""
    analysis, plan = analyse(result), result.plan
    names = slugs(condition.label for condition in plan.conditions)
    stages = {"": analysis}
    if analysis.confirmation is not None:
        stages["confirmed."] = analysis.confirmation.analysis
    for prefix, stage in stages.items():
        for condition in stage.conditions:
            infix = "" if len(names) == 1 else f".{names[condition.condition]}"
            path = folder / f"{prefix}table{infix}.csv"
            _write_csv(
                path,
                _HEAD[:3] + [m.name for m in stage.metrics] + _HEAD[3:],
                _rows(stage, condition),
            )
    if diagnoses:
        write_diagnostics(folder / "diagnostics.csv", diagnoses)
    if plan.study.text:
        (folder / "study.toml").write_text(plan.study.text, encoding="utf-8")


_HEAD = [
    "condition",
    "trial",
    "role",
    "difference",
    "low",
    "high",
    "level",
    "p",
    "images",
    "verdict",
]
_HEAD += ["failures", "fits", "seconds"]


def _rows(stage: StudyAnalysis, condition: ConditionAnalysis) -> Iterable[Sequence[object]]:
    for row in condition.trials:
        record = row.contrast
        interval = record.interval if record else None
        yield (
            condition.condition,
            row.name,
            row.role,
            *(row.means.get(metric.name) for metric in stage.metrics),
            record.estimate if record else None,
            *((interval.low, interval.high, interval.level) if interval else (None, None, None)),
            record.p if record else None,
            record.n_images if record else row.n_images,
            record.verdict.value if record and record.verdict else None,
            row.n_failed,
            row.n_fits,
            row.seconds_per_fit,
        )


def headline(plan: Plan) -> str:
    """Return the study's question as Markdown."""
    return f"**{escape(plan.study.question)}**"


def summary(result: StudyResult, diagnoses: Mapping[str, ByCondition] | None = None) -> str:
    """Return answer and tables as Markdown, for the front page of a tracker.

    Args:
        result: Of the study.
        diagnoses: What was measured of samplers, by name of the trial.
    """
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
