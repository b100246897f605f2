"""Comparisons as documents: two trials in full, image by image, and several studies by protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from n2n_ablate.analysis.pairs import Comparison
from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.analysis.studies import Protocol, StudyRow, StudyTable
from n2n_ablate.report.document import (
    Block,
    Cell,
    Column,
    Definitions,
    Document,
    Heading,
    Lines,
    Paragraph,
    Row,
    Table,
    cell_text,
)
from n2n_ablate.report.numbers import format_number, format_signed, join_words, pluralize
from n2n_ablate.report.study import dot_plot
from n2n_ablate.report.supporting import supporting_table
from n2n_ablate.report.tables import (
    Filled,
    bracketed,
    estimate_cell,
    interval_cell,
    interval_title,
    named,
    table_of,
    verdict_cell,
)
from n2n_ablate.report.text import comparison as text
from n2n_ablate.report.text.contrasts import (
    caveat_lines,
    contrast_line,
    contrast_name,
    digits_of,
    metric_digits,
    planning_lines,
)
from n2n_ablate.report.text.notes import SUPPORTING_CAPTION
from n2n_ablate.report.text.study import metric_title, variance_text
from n2n_ablate.study import seeds_text


def comparison_document(study: str, comparison: Comparison) -> Document:
    """Return two trials of a study under one condition, in full."""
    record = comparison.contrast
    blocks: list[Block] = [Heading(f"{study}: {record.condition}"), _images(record)]
    blocks += _said(comparison)
    later = comparison.confirmed
    if later is not None:
        blocks += [Heading(text.CONFIRMED, 3), *_said(later)]
    return Document(contrast_name(record.contrast), study, blocks)


def _images(record: ContrastRecord) -> Table:
    one, two = text.sides(record.contrast)
    digits = digits_of(record)
    rows = [
        Row([each.image, *(_value(value, digits) for value in (each.trial, each.baseline)),
             _value(each.difference, digits, signed=True)])
        for each in record.images
    ]  # fmt: skip
    columns = [
        Column("image", numeric=False, wraps=True),
        Column(one, wraps=True),
        Column(two, wraps=True),
        Column("difference"),
    ]
    return Table(columns, rows, caption=metric_title(record.metric))


def _value(value: float | None, digits: int, *, signed: bool = False) -> Cell:
    if value is None:
        return "" if signed else "failed"
    return format_signed(value, digits) if signed else format_number(value, digits)


def _said(comparison: Comparison) -> Iterator[Block]:
    """Yield what a contrast says, most important first."""
    record = comparison.contrast
    yield Paragraph(contrast_line(record), "answer")
    if plot := dot_plot([record]):
        yield plot
    yield Paragraph(text.role_text(record))
    if plan := planning_lines([record]):
        yield Paragraph(" ".join(plan), "note")
    if notes := caveat_lines([record]):
        yield Lines(notes, "note")
    if supporting := supporting_table([record]):
        names = [column.title for column in supporting.columns[1:]]
        values = map(cell_text, supporting.rows[0].cells[1:])
        yield Heading(SUPPORTING_CAPTION, 3)
        yield Definitions(list(zip(names, values, strict=True)))
    lines = [text.secondary_line(each) for each in comparison.secondary.values()]
    sides = text.sides(record.contrast)
    lines += [
        text.peak_text(name, peak, comparison.contrast.metric)
        for name, peak in zip(sides, comparison.peaks, strict=True)
    ]
    lines += [text.crossing_text(comparison.crossing), variance_text(comparison.variance)]
    if known := [line for line in lines if line]:
        yield Lines(known)


_PAIRED = (
    "Differences are paired by image. CI: 95 % confidence interval across images where there is no "
    "verdict; a study's own interval and verdict where it declared the contrast with this baseline."
)


def side_by_side_document(tables: Sequence[StudyTable]) -> Document:
    """Return the trials of several studies, contrasted where they share a protocol."""
    blocks: list[Block] = []
    for table in tables:
        title = f"{join_words(table.studies)}: {table.condition}"
        blocks += [Heading(title), Paragraph(_protocol(table.protocol)), _table(table)]
    blocks.append(Paragraph(_PAIRED, "note"))
    if lines := list(_apart(tables)):
        blocks += [Heading("Not contrasted, because they differ", 3), Lines(lines, "note")]
    return Document("Several studies", "", blocks)


def _protocol(shared: Protocol) -> str:
    return (
        f"{pluralize(len(shared.images), 'image')}, {seeds_text(shared.seeds)}, {shared.noise}, "
        f"{shared.steps} steps, {shared.computed}"
    )


def _table(table: StudyTable) -> Table:
    contrasts = [row.contrast for row in table.rows]
    unit = bracketed(table.metric.unit)
    of = f" of {table.reference}" if len(table.studies) > 1 else ""
    digits = metric_digits(table.metric, [row.mean for row in table.rows])

    def mean(row: StudyRow) -> Cell:
        return "failed" if row.mean is None else format_number(row.mean, digits)

    def difference(row: StudyRow) -> Cell:
        if row.contrast is None:
            return "baseline" if row.study == table.reference else "the same fits"
        return estimate_cell(row.contrast)

    columns: list[Filled] = [
        (named("study"), lambda row: row.study),
        (named("trial"), lambda row: row.trial),
        (Column(metric_title(table.metric)), mean),
        (Column(f"vs baseline{of}{unit}", wraps=True), difference),
        (Column(interval_title(contrasts)), lambda row: interval_cell(row.contrast)),
        (Column("verdict", numeric=False), lambda row: verdict_cell(row.contrast)),
    ]
    kinds = ("baseline", "reference")
    return table_of(columns, table.rows, lambda row: row.role if row.role in kinds else "")


def _apart(tables: Sequence[StudyTable]) -> Iterator[str]:
    """Yield what each further table has other than the first; conditions of one study are no news."""
    first = tables[0]
    for table in tables[1:]:
        if not set(table.studies) <= set(first.studies):
            one, other = first.protocol, table.protocol
            pairs = [
                (seeds_text(other.seeds), seeds_text(one.seeds)),
                (other.noise, one.noise),
                (f"{other.steps} steps", f"{one.steps} steps"),
                (other.computed, one.computed),
            ]
            differs = [f"{this} instead of {that}" for this, that in pairs if this != that]
            if one.images != other.images:
                differs.insert(0, f"images ({len(other.images)}, not the same {len(one.images)})")
            yield f"{join_words(table.studies)}: {'; '.join(differs)}"
