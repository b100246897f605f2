"""A study's results as a document: what a terminal prints when it ends, and what every report begins with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.analysis.study_records import ConditionAnalysis, StudyAnalysis
from n2n_ablate.report import tables
from n2n_ablate.report.document import (
    Block,
    Document,
    DotPlot,
    DotRow,
    Heading,
    Lines,
    Paragraph,
)
from n2n_ablate.report.text import study as text
from n2n_ablate.report.text.contrasts import (
    contrast_line,
    contrast_name,
    digits_of,
    planning_lines,
)
from n2n_ablate.report.text.notes import DOT_PLOT_NOTE

_MOST_DOTS = 12  # rows of a dot plot: more do not fit beside the answer


def study_document(analysis: StudyAnalysis, settings: Sequence[str] = ()) -> Document:
    """Return what a terminal shows of a finished study."""
    changed = f" (with {', '.join(settings)})" if settings else ""
    blocks: list[Block] = []
    for condition in analysis.conditions:
        blocks.append(Heading(f"{analysis.study}: {condition.condition}{changed}"))
        blocks += trial_blocks(analysis, condition)
        blocks += answer_blocks(analysis, condition)
    if summary := tables.summary_table(analysis):
        blocks += [Heading("All conditions"), summary]
    endings = (
        text.search_text(analysis),
        text.unconfirmed_text(analysis),
        text.failures_text(analysis),
        text.cached_text(analysis),
    )
    blocks += [Paragraph(line) for line in endings if line]
    return Document(analysis.question, analysis.study, blocks)


def trial_blocks(analysis: StudyAnalysis, condition: ConditionAnalysis) -> Iterator[Block]:
    """Yield the tables of a condition: trials, effects, confirmation."""
    yield tables.trials_table(analysis, condition)
    if effects := tables.effects_table(analysis, condition):
        yield Heading("Effects of the factors", 3)
        yield effects
    if confirmed := tables.confirmation_table(analysis, condition.condition):
        unit = f" (differences in {analysis.metric.unit})" if analysis.metric.unit else ""
        yield Heading(f"Confirmation on held-out images{unit}", 3)
        yield confirmed


def answer_blocks(
    analysis: StudyAnalysis, condition: ConditionAnalysis, *, dots: bool = True
) -> Iterator[Block]:
    """Yield the answer under a condition: a line per contrast of the stage that decides."""
    decided = analysis.deciding.condition(condition.condition)
    known = [record for record in decided.contrasts if record.estimate is not None]
    if decided.baseline_reason is not None:
        yield Paragraph(text.baseline_reason_text(decided.baseline_reason), "answer")
    elif not known:
        yield Paragraph(text.NO_CONTRAST, "answer")
    else:
        yield Paragraph(text.answer_title(analysis, decided), "answer")
        yield Lines([contrast_line(record) for record in decided.contrasts], "contrasts")
        if plan := planning_lines(decided.contrasts):
            yield Paragraph(" ".join(plan), "note")
    yield Paragraph(text.highest_text(analysis, condition))
    if dots and (plot := dot_plot(known)):
        yield plot


def dot_plot(records: Sequence[ContrastRecord]) -> DotPlot | None:
    """Return the differences by image of some contrasts; None where there are none, or too many."""
    names = [contrast_name(record.contrast).partition(" vs ") for record in records]
    common = len(records) > 1 and len({base for _, _, base in names}) == 1  # the baseline
    rows = [
        DotRow(
            name=name if common else contrast_name(record.contrast),
            values=[each.difference for each in record.images if each.difference is not None],
            mean=record.estimate,
            interval=(record.interval.low, record.interval.high) if record.interval else None,
            verdict=record.verdict.value if record.verdict else "",
        )
        for record, (name, _, _) in zip(records, names, strict=True)
        if record.estimate is not None
    ]
    if not rows or len(rows) > _MOST_DOTS or not all(row.values for row in rows):
        return None
    digits = max(map(digits_of, records))
    note = DOT_PLOT_NOTE.format(base="from the baseline " if common else "")
    return DotPlot(rows, records[0].margin or 0.0, records[0].metric.unit, note, digits)


def next_steps(commands: Sequence[tuple[str, str]]) -> Document:
    """Return commands that may follow a study, each with what it is for."""
    blocks: list[Block] = [Heading(text.NEXT_STEPS)]
    for command, purpose in commands:
        blocks += [Paragraph(f"  {command}", "command"), Paragraph(f"    {purpose}", "note")]
    return Document("", "", blocks)
