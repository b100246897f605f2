"""Tables of a study, filled from records: the same cells for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
    Estimate,
    Interval,
    Name,
    Number,
    Row,
    Table,
    Verdict,
)
from n2n_ablate.report.numbers import format_signed
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

_LONGEST_TITLE = 12
_ORIGINS = {Origin.SEARCH: " (best of the search)", Origin.EARLIER: " (confirmed earlier)"}


def only_key(condition: ConditionAnalysis) -> str:
    """Return the only factor of a study, empty if it has several: tables have it as a title."""
    keys = {key for row in condition.trials for key in row.parameters}
    return next(iter(keys)) if len(keys) == 1 else ""


def row_name(row: TrialRecord, key: str) -> str:
    """Return what a table calls a trial: its level where a study has one factor, else its name."""
    if key not in row.parameters:
        return row.name
    return level_text(row.name, key, value_text(row.parameters[key]))


def row_names(condition: ConditionAnalysis) -> dict[str, str]:
    """Return what tables and figures call every row of a condition, by its name."""
    key = only_key(condition)
    return {row.name: row_name(row, key) for row in condition.trials}


def baseline_title(condition: ConditionAnalysis) -> str:
    """Return `vs 0.01`, or `vs baseline` where that would be long."""
    key = only_key(condition)
    names = [row_name(row, key) for row in condition.trials if row.role == "baseline"]
    short = names and len(names[0]) <= _LONGEST_TITLE
    return f"vs {names[0]}" if short else "vs baseline"


def trials_table(analysis: StudyAnalysis, condition: ConditionAnalysis) -> Table:
    """Return the table of a condition: trials ranked, references without a rank among them."""
    metric, rows = analysis.metric, shown_rows(analysis, condition)
    verdicts = any(row.contrast and row.contrast.verdict for row in rows)
    timed = any(row.seconds_per_fit for row in rows)
    failed = any(row.n_failed for row in rows)
    unit = f" ({metric.unit})" if metric.unit else ""
    columns = [
        Column("#"),
        Column(short_key(only_key(condition)) or "trial", numeric=False, wraps=True),
        Column(metric_title(metric)),
        Column(f"{baseline_title(condition)}{unit}"),
        Column(interval_title([row.contrast for row in rows])),
        *([Column("verdict", numeric=False)] if verdicts else []),
        *([Column("failed")] if failed else []),
        *([Column("images")] if condition.unequal_images else []),
        *(Column(metric_title(other), optional=True) for other in analysis.metrics[1:]),
        *([Column("s/fit", optional=True)] if timed else []),
        Column(f"{metric_title(metric).partition(' ')[0]} by step", numeric=False, optional=True),
    ]
    key = only_key(condition)
    digits = {
        each.name: metric_digits(each, [row.means.get(each.name) for row in rows])
        for each in analysis.metrics
    }
    filled = [
        Row(
            [
                row.rank or "",
                Name(row_name(row, key)),
                _mean(row, metric.name, digits),
                *_difference(row),
                *([Verdict(_verdict(row.contrast), _like(row.contrast))] if verdicts else []),
                *([_failed(row)] if failed else []),
                *([_images(row)] if condition.unequal_images else []),
                *(_mean(row, other.name, digits) for other in analysis.metrics[1:]),
                *([Number(row.seconds_per_fit, 1) if row.seconds_per_fit else ""] if timed else []),
                Curve(row.curve[1]),
            ],
            _kind(row),
        )
        for row in rows
    ]
    return Table(columns, filled, notes=trials_notes(analysis, condition))


def trials_notes(analysis: StudyAnalysis, condition: ConditionAnalysis) -> list[str]:
    """Return how to read the table of trials."""
    rows = [row.contrast for row in shown_rows(analysis, condition)]
    texts = [notes.interval_note(rows, analysis.family)]
    if analysis.confirmation is not None:
        texts.append(notes.confirmed_elsewhere_note(analysis))
    else:
        primary = [record for record in rows if record and record.verdict]
        texts += [notes.verdict_note(rows), *caveat_lines(primary)]
    if condition.unequal_images:
        texts.append(notes.unequal_note(condition.trials))
    return [text for text in texts if text]


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
    confirmed = later.analysis.condition(condition)
    counted = confirmed.unequal_images
    columns = [
        Column("contrast", numeric=False, wraps=True),
        Column("search" if analysis.searched else "trials"),
        Column("held-out"),
        Column(interval_title([pair.after for pair in pairs])),
        Column("verdict", numeric=False),
        Column("shrinkage"),
        *([Column("images")] if counted else []),
    ]
    rows = [
        Row(
            [
                Name(f"{contrast_name(pair.after.contrast)}{_ORIGINS.get(pair.origin, '')}"),
                _estimate(pair.before),
                *estimate_and_interval(pair.after),
                Verdict(_verdict(pair.after), _like(pair.after)),
                _shrinkage(pair),
                *([pair.after.n_images] if counted else []),
            ]
        )
        for pair in pairs
    ]
    after = [pair.after for pair in pairs]
    searched = any(pair.origin is Origin.SEARCH for pair in pairs)
    texts = [
        notes.interval_note(after, later.analysis.family),
        notes.verdict_note(after),
        *caveat_lines(after),
        *notes.reuse_notes(later, pairs),
        notes.shrinkage_note(searched=searched),
    ]
    return Table(columns, rows, notes=[text for text in texts if text])


def effects_table(analysis: StudyAnalysis, condition: ConditionAnalysis) -> Table | None:
    """Return main effects and interactions of a factorial study; None for other designs."""
    effects = [
        record
        for record in condition.contrasts
        if record.contrast.kind in (Kind.MAIN_EFFECT, Kind.INTERACTION)
    ]
    if not effects:
        return None
    rows = [
        Row(
            [
                Name(contrast_name(record.contrast)),
                *estimate_and_interval(record),
                Verdict(_verdict(record), _like(record)),
            ]
        )
        for record in effects
    ]
    unit = f" ({analysis.metric.unit})" if analysis.metric.unit else ""
    columns = [
        Column("effect", numeric=False, wraps=True),
        Column(f"change{unit}"),
        Column(interval_title(effects)),
        Column("verdict", numeric=False),
    ]
    main = [record for record in effects if record.contrast.kind is Kind.MAIN_EFFECT]
    crossed = [record for record in effects if record.contrast.kind is Kind.INTERACTION]
    texts = [
        notes.interval_note(effects, analysis.family),
        notes.FACTORIAL_NOTE if main else "",
        notes.verdict_note(main),
        notes.INTERACTION_NOTE if crossed else "",
        notes.verdict_note(crossed),
        *caveat_lines(effects),
    ]
    return Table(columns, rows, notes=[text for text in texts if text])


def summary_table(analysis: StudyAnalysis) -> Table | None:
    """Return every contrast over all conditions; None for a single condition."""
    stage = analysis.deciding
    if len(stage.conditions) < 2 or not stage.summary:
        return None
    labels = [condition.condition for condition in stage.conditions]
    columns = [Column("contrast", numeric=False, wraps=True), *(Column(label) for label in labels)]
    rows = [
        Row(
            [
                Name(contrast_name(each.contrast)),
                *(_in_short(each.by_condition.get(label)) for label in labels),
            ]
        )
        for each in stage.summary
    ]
    unit = f", {analysis.metric.unit}" if analysis.metric.unit else ""
    where = " on held-out images" if analysis.confirmation else ""
    caption = f"Every contrast under every condition{where}{unit}."
    return Table(columns, rows, caption=caption, key="summary")


def _in_short(record: ContrastRecord | None) -> Cell:
    if record is None or record.estimate is None:
        return ""
    word = verdict_word(record)
    text = f"{format_signed(record.estimate, digits_of(record))} {word}".strip()
    return Verdict(text, _like(record))


def _failed(row: TrialRecord) -> Cell:
    return f"{row.n_failed} of {row.n_fits}" if row.n_failed else ""


def _mean(row: TrialRecord, metric: str, digits: Mapping[str, int]) -> Cell:
    value = row.means.get(metric)
    if value is None:
        return "failed" if row.n_failed else ""
    return Number(value, digits[metric])


def _difference(row: TrialRecord) -> list[Cell]:
    if row.role == "baseline":
        return ["baseline", ""]
    return estimate_and_interval(row.contrast) if row.contrast else ["", ""]


def estimate_and_interval(record: ContrastRecord) -> list[Cell]:
    """Return the cells of a difference and its confidence interval."""
    if record.estimate is None:
        return ["no result", ""]
    digits, ends = digits_of(record), record.interval
    interval: Cell = Interval(ends.low, ends.high, digits) if ends else ""
    return [Number(record.estimate, digits, signed=True), interval]


def _estimate(record: ContrastRecord | None) -> Cell:
    if record is None or record.estimate is None:
        return ""
    return Number(record.estimate, digits_of(record), signed=True)


def interval_title(shown: Sequence[ContrastRecord | None]) -> str:
    """Return `CI`, with its level where all have the same."""
    levels = {record.interval.level for record in shown if record and record.interval}
    return f"{100 * next(iter(levels)):.4g} % CI" if len(levels) == 1 else "CI"


def _verdict(record: ContrastRecord | None) -> str:
    return verdict_word(record) if record else ""


def _like(record: ContrastRecord | None) -> str:
    return record.verdict.value if record and record.verdict else ""


def _images(row: TrialRecord) -> Cell:
    return (row.contrast.n_images if row.contrast else 0) or row.n_images or ""


def _kind(row: TrialRecord) -> str:
    return {"baseline": "baseline", "reference": "reference", "untrained": "reference"}.get(
        row.role, ""
    )


def _shrinkage(pair: ConfirmedContrast) -> Cell:
    if pair.shrinkage is None:
        return ""
    ends, digits = pair.shrinkage_interval, digits_of(pair.after)
    return (
        Estimate(pair.shrinkage, ends.low, ends.high, digits)
        if ends
        else Number(pair.shrinkage, digits, signed=True)
    )
