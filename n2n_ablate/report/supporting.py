"""Tables beside those that decide: supporting statistics of contrasts, peaks and crossings of curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from n2n_ablate.analysis.records import ContrastRecord, Role
from n2n_ablate.analysis.study_records import ConditionAnalysis, Peak
from n2n_ablate.report.document import Cell, Column, Interval, Name, Number, Row, Table
from n2n_ablate.report.numbers import format_interval, format_number, format_p
from n2n_ablate.report.tables import estimate_and_interval, row_names
from n2n_ablate.report.text import notes
from n2n_ablate.report.text.contrasts import (
    contrast_name,
    digits_of,
    images_needed_text,
    metric_digits,
)
from n2n_ablate.report.text.study import metric_title
from n2n_ablate.stats import Crossing

_Filled: TypeAlias = tuple[Column, Callable[[ContrastRecord], Cell]]


def supporting_table(condition: ConditionAnalysis) -> Table | None:
    """Return statistics beside the verdicts of a condition; columns without a value are left out."""
    return supporting_of(condition.contrasts)


def supporting_of(records: Sequence[ContrastRecord]) -> Table | None:
    """Return the same of any contrasts; None without a value."""
    known = [record for record in records if record.estimate is not None]
    filled: list[_Filled] = [
        (Column("d_z"), lambda r: _signed(r.effect_size)),
        (Column("better on"), _wins),
        (
            Column("Holm p"),
            lambda r: format_p(r.p_holm).removeprefix("p = ") if r.p_holm is not None else "",
        ),
        (Column("sign-flip p"), _sign_flip),
        (Column("P(equivalent)"), lambda r: _number(r.probability_equivalent)),
        (Column("one image out"), _without_one),
        (Column("these images"), _these_images),
        (
            Column("detectable"),
            lambda r: Number(r.planning.detectable_difference, digits_of(r)) if r.planning else "",
        ),
        (Column("images needed"), images_needed_text),
    ]
    kept = [
        (column, fill) for column, fill in filled if any(fill(record) != "" for record in known)
    ]
    if not known or not kept:
        return None
    rows = [
        Row([Name(contrast_name(record.contrast)), *(fill(record) for _, fill in kept)])
        for record in known
    ]
    texts = [notes.SUPPORTING_NOTES[column.title] for column, _ in kept]
    if any(record.interim for record in known):
        texts.append(notes.RACED_P_NOTE)
    columns = [Column("contrast", numeric=False, wraps=True), *(column for column, _ in kept)]
    return Table(columns, rows, caption=notes.SUPPORTING_CAPTION, notes=texts, detail=True)


def secondary_table(condition: ConditionAnalysis) -> Table | None:
    """Return the declared contrasts by the metrics that do not decide; None with a single metric."""
    rows = [
        Row([Name(contrast_name(each.contrast)), metric_title(each.metric),
             *estimate_and_interval(each), _wins(each)])
        for trial in condition.trials
        if trial.contrast and trial.contrast.role is Role.PRIMARY
        for each in trial.secondary.values()
        if each.estimate is not None
    ]  # fmt: skip
    if not rows:
        return None
    columns = [
        Column("contrast", numeric=False, wraps=True),
        Column("metric", numeric=False),
        *(Column(title) for title in ("difference", "95 % CI", "better on")),
    ]
    return Table(columns, rows, notes.SECONDARY_CAPTION, key="secondary", detail=True)


def training_table(condition: ConditionAnalysis) -> Table | None:
    """Return peaks and crossings of the curves; None where every curve rises to its end."""
    names = row_names(condition)
    known = [trial.contrast.metric for trial in condition.trials if trial.contrast]
    unit = known[0].unit if known else ""
    digits = metric_digits(known[0]) if known else 2
    rows = []
    for trial in condition.trials:
        peak, cross = trial.peak, trial.crossing
        early = peak is not None and peak.step < max(trial.curve[0], default=0)
        if not early and not (cross and cross.certain):
            continue
        rows.append(
            Row(
                [Name(names[trial.name]), *_peak(peak if early else None, digits), _crossing(cross)]
            )
        )
    if not rows:
        return None
    columns = [
        Column("trial", numeric=False, wraps=True),
        Column("peak at step"),
        Column(f"gain at peak{f' ({unit})' if unit else ''}"),
        Column("95 % CI"),
        Column("crosses baseline at step"),
    ]
    return Table(columns, rows, notes.TRAINING_CAPTION, notes.TRAINING_NOTES, detail=True)


def _peak(peak: Peak | None, digits: int) -> list[Cell]:
    if peak is None:
        return ["", "", ""]
    ends = peak.interval
    interval: Cell = Interval(ends.low, ends.high, digits) if ends else ""
    return [peak.step, _signed(peak.gain, digits), interval]


def _crossing(cross: Crossing | None) -> Cell:
    if cross is None or cross.step is None or not cross.certain:
        return ""
    return f"{cross.step:.0f} ({cross.low} to {cross.high})"


def _signed(value: float | None, digits: int = 2) -> Cell:
    return "" if value is None else Number(value, digits, signed=True)


def _number(value: float | None) -> Cell:
    return "" if value is None else Number(value)


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
    limit = f" ({format_number(smallest, 3)})" if smallest is not None else ""
    return f"{format_number(record.p_sign_flip, 3)}{limit}"


def _these_images(record: ContrastRecord) -> Cell:
    ends = record.fixed_images_interval
    return format_interval(ends.low, ends.high, digits_of(record)) if ends else ""


def _without_one(record: ContrastRecord) -> Cell:
    without = record.leave_one_out
    return format_interval(without.low, without.high, digits_of(record)) if without else ""
