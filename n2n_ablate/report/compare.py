"""Two trials in full as a document: image by image, then what the contrast says."""

from __future__ import annotations

from collections.abc import Iterator

from n2n_ablate.analysis.pairs import Comparison
from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.report.document import (
    Block,
    Cell,
    Column,
    Definitions,
    Document,
    Heading,
    Lines,
    Number,
    Paragraph,
    Row,
    Table,
    cell_text,
)
from n2n_ablate.report.study import dot_plot
from n2n_ablate.report.supporting import supporting_table
from n2n_ablate.report.text import comparison as text
from n2n_ablate.report.text.contrasts import (
    caveat_lines,
    contrast_line,
    contrast_name,
    digits_of,
    planning_lines,
)
from n2n_ablate.report.text.notes import SUPPORTING_CAPTION
from n2n_ablate.report.text.study import metric_title, variance_text


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
        Row([each.image, *(_number(value, digits) for value in (each.trial, each.baseline)),
             _number(each.difference, digits, signed=True)])
        for each in record.images
    ]  # fmt: skip
    columns = [
        Column("image", numeric=False, wraps=True),
        Column(one, wraps=True),
        Column(two, wraps=True),
        Column("difference"),
    ]
    return Table(columns, rows, caption=metric_title(record.metric))


def _number(value: float | None, digits: int, *, signed: bool = False) -> Cell:
    if value is None:
        return "" if signed else "failed"
    return Number(value, digits, signed)


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
