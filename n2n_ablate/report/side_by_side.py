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
    Row,
    Table,
    Verdict,
)
from n2n_ablate.report.numbers import join_words, pluralize
from n2n_ablate.report.tables import estimate_and_interval, interval_title
from n2n_ablate.report.text.contrasts import metric_digits, verdict_word
from n2n_ablate.report.text.study import metric_title

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
        f"{pluralize(len(shared.images), 'image')}, {_seeds(shared)}, {shared.noise}, "
        f"{shared.steps} steps, {shared.computed}"
    )


def _seeds(shared: Protocol) -> str:
    return f"seed{'s' * (len(shared.seeds) > 1)} {', '.join(map(str, shared.seeds))}"


def _table(table: StudyTable) -> Table:
    contrasts = [row.contrast for row in table.rows]
    unit = f" ({table.metric.unit})" if table.metric.unit else ""
    of = f" of {table.reference}" if len(table.studies) > 1 else ""
    columns = [
        Column("study", numeric=False, wraps=True),
        Column("trial", numeric=False, wraps=True),
        Column(metric_title(table.metric)),
        Column(f"vs baseline{of}{unit}", wraps=True),
        Column(interval_title(contrasts)),
        Column("verdict", numeric=False),
    ]
    digits = metric_digits(table.metric, [row.mean for row in table.rows])
    return Table(columns, [_row(row, table.reference, digits) for row in table.rows])


def _row(row: StudyRow, reference: str, digits: int) -> Row:
    mean: Cell = "failed" if row.mean is None else Number(row.mean, digits)
    difference: list[Cell] = ["baseline" if row.study == reference else "the same fits", ""]
    if row.contrast is not None:
        difference = estimate_and_interval(row.contrast)
    verdict = Verdict("")
    if row.contrast is not None and row.contrast.verdict is not None:
        verdict = Verdict(verdict_word(row.contrast), row.contrast.verdict.value)
    kind = row.role if row.role in ("baseline", "reference") else ""
    return Row([Name(row.study), Name(row.trial), mean, *difference, verdict], kind)


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
                f"{_seeds(other)} instead of {_seeds(one)}" if one.seeds != other.seeds else "",
                f"{other.noise} instead of {one.noise}" if one.noise != other.noise else "",
                f"{other.steps} steps instead of {one.steps}" if one.steps != other.steps else "",
                f"{other.computed} instead of {one.computed}"
                if one.computed != other.computed
                else "",
            ]
            yield f"{join_words(table.studies)}: {'; '.join(filter(None, differs))}"
