"""Tables beside those that decide: supporting statistics of contrasts, peaks and crossings of curves."""

from __future__ import annotations

from collections.abc import Sequence

from n2n_ablate.analysis.records import ContrastRecord, Role
from n2n_ablate.analysis.study_records import ConditionAnalysis, TrialRecord
from n2n_ablate.report.document import Cell, Column, Table
from n2n_ablate.report.numbers import format_interval, format_number, format_p, format_signed
from n2n_ablate.report.tables import (
    Filled,
    bracketed,
    estimate_cell,
    interval_cell,
    named,
    row_names,
    table_of,
)
from n2n_ablate.report.text import notes
from n2n_ablate.report.text.contrasts import (
    contrast_name,
    digits_of,
    images_needed_text,
    metric_digits,
)
from n2n_ablate.report.text.study import metric_title
from n2n_ablate.stats import Peak


def supporting_table(records: Sequence[ContrastRecord], key: str = "") -> Table | None:
    """Return statistics beside the verdicts; columns without a value are left out, None without any."""
    known = [record for record in records if record.estimate is not None]
    kept = [
        (column, fill)
        for column, fill in _SUPPORTING
        if any(fill(record) != "" for record in known)
    ]
    if not kept:
        return None
    texts = [notes.SUPPORTING_NOTES[column.title] for column, _ in kept]
    if any(record.interim for record in known):
        texts.append(notes.RACED_P_NOTE)
    caption = notes.SUPPORTING_CAPTION
    return table_of([_NAMED, *kept], known, caption=caption, notes=texts, detail=True, key=key)


def secondary_table(condition: ConditionAnalysis, key: str = "") -> Table | None:
    """Return the declared contrasts by the metrics that do not decide; None with a single metric."""
    records = [
        record
        for trial in condition.trials
        if trial.contrast and trial.contrast.role is Role.PRIMARY
        for record in trial.secondary.values()
        if record.estimate is not None
    ]
    columns: list[Filled] = [
        _NAMED,
        (Column("metric", numeric=False), lambda record: metric_title(record.metric)),
        (Column("difference"), estimate_cell),
        (Column("95 % CI"), interval_cell),
        (Column("better on"), _wins),
    ]
    caption = notes.SECONDARY_CAPTION
    return table_of(columns, records, caption=caption, detail=True, key=key) if records else None


def training_table(condition: ConditionAnalysis, key: str = "") -> Table | None:
    """Return peaks and crossings of the curves; None where every curve rises to its end."""
    names = row_names(condition)
    shown = [trial for trial in condition.trials if _early_peak(trial) or _crossing(trial)]
    metric = next((trial.contrast.metric for trial in condition.trials if trial.contrast), None)
    unit = bracketed(metric.unit if metric else "")
    digits = metric_digits(metric) if metric else 2

    def interval(trial: TrialRecord) -> Cell:
        early = _early_peak(trial)
        ends = early.interval if early else None
        return format_interval(ends.low, ends.high, digits) if ends else ""

    columns: list[Filled] = [
        (named("trial"), lambda trial: names[trial.name]),
        (Column("peak at step"), lambda trial: getattr(_early_peak(trial), "step", "")),
        (
            Column(f"gain at peak{unit}"),
            lambda trial: format_signed(getattr(_early_peak(trial), "gain", None), digits),
        ),
        (Column("95 % CI"), interval),
        (Column("crosses baseline at step"), _crossing),
    ]
    if not shown:
        return None
    caption, texts = notes.TRAINING_CAPTION, notes.TRAINING_NOTES
    return table_of(columns, shown, caption=caption, notes=texts, key=key, detail=True)


def _early_peak(trial: TrialRecord) -> Peak | None:
    """Return the peak of a curve if it lies before the last step."""
    last = max(trial.curve[0], default=0)
    return trial.peak if trial.peak is not None and trial.peak.step < last else None


def _crossing(trial: TrialRecord) -> Cell:
    cross = trial.crossing
    if cross is None or cross.step is None or not cross.certain:
        return ""
    return f"{cross.step:.0f} ({cross.low} to {cross.high})"


def _wins(record: ContrastRecord) -> Cell:
    wins = record.wins
    if wins is None:
        return ""
    ties = f", {wins.ties} equal" if wins.ties else ""
    ends = wins.interval
    share = f" ({100 * ends.low:.0f} to {100 * ends.high:.0f} %)" if ends else ""
    return f"{wins.wins} of {wins.n}{ties}{share}"


def _sign_flip(record: ContrastRecord) -> Cell:
    if record.p_sign_flip is None:
        return ""
    smallest = record.p_sign_flip_smallest
    limit = f" ({_p(smallest)})" if smallest is not None else ""
    return f"{_p(record.p_sign_flip)}{limit}"


def _p(value: float) -> str:
    return format_p(value).removeprefix("p ").removeprefix("= ")


def _holm(record: ContrastRecord) -> Cell:
    return "" if record.p_holm is None else _p(record.p_holm)


def _detectable(record: ContrastRecord) -> Cell:
    plan = record.planning
    return format_number(plan.detectable_difference, digits_of(record)) if plan else ""


def _ends(record: ContrastRecord, name: str) -> Cell:
    ends = getattr(record, name)
    return format_interval(ends.low, ends.high, digits_of(record)) if ends else ""


_NAMED: Filled = (named("contrast"), lambda record: contrast_name(record.contrast))
_SUPPORTING: tuple[Filled, ...] = (
    (Column("d_z"), lambda record: format_signed(record.effect_size)),
    (Column("better on"), _wins),
    (Column("Holm p"), _holm),
    (Column("sign-flip p"), _sign_flip),
    (Column("P(equivalent)"), lambda record: format_number(record.probability_equivalent)),
    (Column("one image out"), lambda record: _ends(record, "leave_one_out")),
    (Column("these images"), lambda record: _ends(record, "fixed_images_interval")),
    (Column("detectable"), _detectable),
    (Column("images needed"), images_needed_text),
)
