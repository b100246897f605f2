"""Several studies in one document: a table per protocol, and what keeps the tables apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from n2n_ablate.analysis.studies import Protocol, StudyRow, StudyTable
from n2n_ablate.report.document import (
    Block,
    Cell,
    Column,
    Document,
    Heading,
    Lines,
    Name,
    Number,
    Paragraph,
    Table,
)
from n2n_ablate.report.numbers import join_words, pluralize
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
from n2n_ablate.report.text.contrasts import metric_digits
from n2n_ablate.report.text.study import metric_title
from n2n_ablate.study import seeds_text

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
        return "failed" if row.mean is None else Number(row.mean, digits)

    def difference(row: StudyRow) -> Cell:
        if row.contrast is None:
            return "baseline" if row.study == table.reference else "the same fits"
        return estimate_cell(row.contrast)

    columns: list[Filled] = [
        (named("study"), lambda row: Name(row.study)),
        (named("trial"), lambda row: Name(row.trial)),
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
            differs = [
                f"images ({len(other.images)}, not the same {len(one.images)})"
                if one.images != other.images
                else "",
                f"{seeds_text(other.seeds)} instead of {seeds_text(one.seeds)}"
                if one.seeds != other.seeds
                else "",
                f"{other.noise} instead of {one.noise}" if one.noise != other.noise else "",
                f"{other.steps} steps instead of {one.steps}" if one.steps != other.steps else "",
                f"{other.computed} instead of {one.computed}"
                if one.computed != other.computed
                else "",
            ]
            yield f"{join_words(table.studies)}: {'; '.join(filter(None, differs))}"
