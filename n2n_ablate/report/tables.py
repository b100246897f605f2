"""Tables of a study, filled from records: the same cells for every format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from n2n_ablate.analysis.records import ContrastRecord, Kind
from n2n_ablate.analysis.study_records import (
    ConditionAnalysis,
    ConfirmedContrast,
    Origin,
    StudyAnalysis,
    TrialRecord,
)
from n2n_ablate.report.document import (
    Cell,
    Column,
    Curve,
    Row,
    Table,
    Verdict,
)
from n2n_ablate.report.numbers import (
    format_half_width,
    format_interval,
    format_number,
    format_signed,
)
from n2n_ablate.report.text import notes
from n2n_ablate.report.text.contrasts import (
    caveat_lines,
    contrast_name,
    digits_of,
    level_text,
    metric_digits,
    short_key,
    value_text,
    verdict_word,
)
from n2n_ablate.report.text.study import metric_title

Filled: TypeAlias = tuple[Column, Callable[[Any], Cell]]
"""A column, and what fills its cell in the row of an item."""

_LONGEST_TITLE = 12
_ORIGINS = {Origin.SEARCH: " (best of the search)", Origin.EARLIER: " (confirmed earlier)"}
_KINDS = {"baseline": "baseline", "reference": "reference", "untrained": "reference"}


def table_of(
    columns: Sequence[Filled],
    items: Iterable[Any],
    kind: Callable[[Any], str] = lambda _: "",
    **more: Any,
) -> Table:
    """Return a table with a row per item; `more` are fields of `Table`."""
    rows = [Row([fill(item) for _, fill in columns], kind(item)) for item in items]
    return Table([column for column, _ in columns], rows, **more)


def named(title: str) -> Column:
    """Return the column of names that a table begins with."""
    return Column(title, numeric=False, wraps=True)


def only_key(condition: ConditionAnalysis) -> str:
    """Return the only factor of a study, empty if it has several: tables have it as a title."""
    keys = {key for row in condition.trials for key in row.parameters}
    return next(iter(keys)) if len(keys) == 1 else ""


def row_names(condition: ConditionAnalysis) -> dict[str, str]:
    """Return what tables and figures call every row of a condition, by its name.

    That is its level where the study has one factor, else its name.
    """
    key = only_key(condition)
    return {
        row.name: level_text(row.name, key, value_text(row.parameters[key]))
        if key in row.parameters
        else row.name
        for row in condition.trials
    }


def _baseline_title(condition: ConditionAnalysis) -> str:
    """Return `vs 0.01`, or `vs baseline` where that would be long."""
    names = row_names(condition)
    shown = [names[row.name] for row in condition.trials if row.role == "baseline"]
    short = shown and len(shown[0]) <= _LONGEST_TITLE
    return f"vs {shown[0]}" if short else "vs baseline"


def trials_table(analysis: StudyAnalysis, condition: ConditionAnalysis) -> Table:
    """Return the table of a condition: trials ranked, references without a rank among them."""
    metric, rows, names = analysis.metric, shown_rows(analysis, condition), row_names(condition)
    records = [row.contrast for row in rows]
    means: list[Filled] = [
        (Column(metric_title(each), optional=bool(number)), _mean_of(each.name, digits))
        for number, each in enumerate(analysis.metrics)
        for digits in [metric_digits(each, [row.means.get(each.name) for row in rows])]
    ]
    columns: list[Filled] = [
        (Column("#"), lambda row: row.rank or ""),
        (named(short_key(only_key(condition)) or "trial"), lambda row: names[row.name]),
        means[0],
        (Column(f"{_baseline_title(condition)}{bracketed(metric.unit)}"), _difference),
        (Column(interval_title(records)), lambda row: interval_cell(row.contrast)),
    ]
    if any(record and record.verdict for record in records):
        columns.append((_VERDICT, lambda row: verdict_cell(row.contrast)))
    if any(row.n_failed for row in rows):
        columns.append((Column("failed"), _failed))
    if condition.unequal_images:
        columns.append((Column("images"), _images))
    columns += means[1:]
    if any(row.seconds_per_fit for row in rows):
        seconds = Column("s/fit", optional=True)
        columns.append((seconds, lambda row: format_number(row.seconds_per_fit or None, 1)))
    title = f"{metric_title(metric).partition(' ')[0]} by step"
    columns.append((Column(title, numeric=False, optional=True), lambda row: Curve(row.curve[1])))
    texts = _trials_notes(analysis, condition, rows)
    return table_of(columns, rows, lambda row: _KINDS.get(row.role, ""), notes=texts)


def _trials_notes(
    analysis: StudyAnalysis, condition: ConditionAnalysis, rows: Sequence[TrialRecord]
) -> list[str]:
    records = [row.contrast for row in rows]
    texts = [notes.interval_note(records, analysis.family)]
    if analysis.confirmation is not None:
        texts.append(notes.confirmed_elsewhere_note(analysis))
    else:
        primary = [record for record in records if record and record.verdict]
        texts += [notes.verdict_note(records), *caveat_lines(primary)]
    unranked = [_KINDS.get(row.role) for row in rows if not row.rank]
    if set(unranked) == {"reference"} and len(unranked) < len(rows):
        texts.append(notes.REFERENCES_NOTE)
    if condition.unequal_images:
        texts.append(notes.unequal_note(condition.trials))
    return list(filter(None, texts))


def shown_rows(analysis: StudyAnalysis, condition: ConditionAnalysis) -> list[TrialRecord]:
    """Return the rows of a condition, without verdicts where a confirmation gives them."""
    if analysis.confirmation is None:
        return list(condition.trials)
    return [
        replace(row, contrast=replace(row.contrast, verdict=None)) if row.contrast else row
        for row in condition.trials
    ]


def confirmation_table(analysis: StudyAnalysis, condition: str) -> Table | None:
    """Return the contrasts as they were and as they are on held-out images; None without any."""
    later = analysis.confirmation
    pairs = later.contrasts.get(condition, ()) if later else ()
    if later is None or not pairs:
        return None
    after = [pair.after for pair in pairs]
    columns: list[Filled] = [
        (
            named("contrast"),
            lambda pair: f"{contrast_name(pair.after.contrast)}{_ORIGINS.get(pair.origin, '')}",
        ),
        (Column("search" if analysis.searched else "trials"), _before),
        (Column("held-out"), lambda pair: estimate_cell(pair.after)),
        (Column(interval_title(after)), lambda pair: interval_cell(pair.after)),
        (_VERDICT, lambda pair: verdict_cell(pair.after)),
        (Column("shrinkage"), _shrinkage),
    ]
    if later.analysis.condition(condition).unequal_images:
        columns.append((Column("images"), lambda pair: pair.after.n_images))
    texts = [
        notes.interval_note(after, later.analysis.family),
        notes.verdict_note(after),
        *caveat_lines(after),
        *notes.reuse_notes(later, pairs),
        notes.shrinkage_note(searched=any(pair.origin is Origin.SEARCH for pair in pairs)),
    ]
    return table_of(columns, pairs, notes=list(filter(None, texts)))


def effects_table(analysis: StudyAnalysis, condition: ConditionAnalysis) -> Table | None:
    """Return main effects and interactions of a factorial study; None for other designs."""
    main, crossed = (
        [record for record in condition.contrasts if record.contrast.kind is kind]
        for kind in (Kind.MAIN_EFFECT, Kind.INTERACTION)
    )
    effects = [record for record in condition.contrasts if record in (*main, *crossed)]
    if not effects:
        return None
    columns: list[Filled] = [
        (named("effect"), lambda record: contrast_name(record.contrast)),
        (Column(f"change{bracketed(analysis.metric.unit)}"), estimate_cell),
        (Column(interval_title(effects)), interval_cell),
        (_VERDICT, verdict_cell),
    ]
    texts = [
        notes.interval_note(effects, analysis.family),
        notes.FACTORIAL_NOTE if main else "",
        notes.verdict_note(main),
        notes.INTERACTION_NOTE if crossed else "",
        notes.verdict_note(crossed),
        *caveat_lines(effects),
    ]
    return table_of(columns, effects, notes=list(filter(None, texts)))


def summary_table(analysis: StudyAnalysis) -> Table | None:
    """Return every contrast over all conditions; None for a single condition."""
    stage = analysis.deciding
    if len(stage.conditions) < 2 or not stage.summary:
        return None
    columns: list[Filled] = [(named("contrast"), lambda each: contrast_name(each.contrast))]
    columns += [(Column(each.condition), _in_short(each.condition)) for each in stage.conditions]
    where = " on held-out images" if analysis.confirmation else ""
    unit = f", {analysis.metric.unit}" if analysis.metric.unit else ""
    caption = f"Every contrast under every condition{where}{unit}."
    return table_of(columns, stage.summary, caption=caption, key="summary")


def _in_short(label: str) -> Callable[[Any], Cell]:
    def cell(summary: Any) -> Cell:
        record = summary.by_condition.get(label)
        if record is None or record.estimate is None:
            return ""
        text = f"{format_signed(record.estimate, digits_of(record))} {verdict_word(record)}"
        return replace(verdict_cell(record), word=text.strip())

    return cell


_VERDICT = Column("verdict", numeric=False)


def verdict_cell(record: ContrastRecord | None) -> Verdict:
    """Return the verdict of a contrast, which may have none."""
    if record is None or record.verdict is None:
        return Verdict("")
    return Verdict(verdict_word(record), record.verdict.value)


def estimate_cell(record: ContrastRecord | None) -> Cell:
    """Return the difference of a contrast."""
    if record is None or record.estimate is None:
        return "no result"
    return format_signed(record.estimate, digits_of(record))


def interval_cell(record: ContrastRecord | None) -> Cell:
    """Return the confidence interval of a contrast."""
    ends = record.interval if record and record.estimate is not None else None
    return format_interval(ends.low, ends.high, digits_of(record)) if record and ends else ""


def interval_title(shown: Sequence[ContrastRecord | None]) -> str:
    """Return `97.5 % CI`, or `CI` where levels differ."""
    levels = {record.interval.level for record in shown if record and record.interval}
    return f"{100 * next(iter(levels)):.4g} % CI" if len(levels) == 1 else "CI"


def bracketed(unit: str) -> str:
    """Return a unit as titles of columns have it; nothing for none."""
    return f" ({unit})" if unit else ""


def _mean_of(metric: str, digits: int) -> Callable[[TrialRecord], Cell]:
    def cell(row: TrialRecord) -> Cell:
        value = row.means.get(metric)
        return "failed" if value is None and row.n_failed else format_number(value, digits)

    return cell


def _failed(row: TrialRecord) -> Cell:
    return f"{row.n_failed} of {row.n_fits}" if row.n_failed else ""


def _difference(row: TrialRecord) -> Cell:
    if row.role == "baseline":
        return "baseline"
    return estimate_cell(row.contrast) if row.contrast else ""


def _images(row: TrialRecord) -> Cell:
    return (row.contrast.n_images if row.contrast else 0) or row.n_images or ""


def _before(pair: ConfirmedContrast) -> Cell:
    """Return the difference that was to be confirmed, with the digits of the one on held-out images."""
    estimate = pair.before.estimate if pair.before else None
    return "" if estimate is None else format_signed(estimate, digits_of(pair.after))


def _shrinkage(pair: ConfirmedContrast) -> Cell:
    if pair.shrinkage is None:
        return ""
    ends, digits = pair.shrinkage_interval, digits_of(pair.after)
    if ends is None:
        return format_signed(pair.shrinkage, digits)
    return format_half_width(pair.shrinkage, ends.low, ends.high, digits)
