"""Draws tables with rich. Computes nothing: see `results` and `answer`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from n2n_ablate.analysis import Line, StudyResult
from n2n_ablate.analysis.answer import CONFIRMED_BEFORE, shown
from n2n_ablate.analysis.confirmed import Pair, pairs, told_shrinkage
from n2n_ablate.analysis.names import label, only_factor
from n2n_ablate.analysis.settling import how_to_settle
from n2n_ablate.analysis.uneven import told_uneven, uneven
from n2n_ablate.registry import Entry, Registry
from n2n_ablate.report.screen.cells import Name, how_to_read, narrowing, verdict, wrapped
from n2n_ablate.stats import UNDECIDED, family_level
from n2n_ablate.study import BASELINE

_BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_OURS = "n2n-ablate"  # the distribution

WIDE = 140
"""Columns from which the list of components has a place for parameters."""


def sparkline(values: Sequence[float], width: int = 10) -> str:
    """Return a curve as a row of bars, from its lowest to its highest value."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    picks = [values[round(i * (len(values) - 1) / max(1, width - 1))] for i in range(width)]
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0
    return "".join(_BARS[round((v - low) * scale)] if math.isfinite(v) else " " for v in picks)


def study_table(result: StudyResult, condition: str, width: int) -> Table:
    """Return the table of a condition: the study's trials ranked, yardsticks and references among them.

    Args:
        result: What was found.
        condition: Label of the noise.
        width: Columns of the terminal; the curve is left out where it would not fit.
    """
    key = only_factor(result.plan)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column("#", justify="right")
    table.add_column(key.rpartition(".")[2] or "trial")
    table.add_column("PSNR dB", justify="right", no_wrap=True)
    table.add_column("against baseline", justify="right", no_wrap=True)
    if result.confirmed is None:  # else only what is confirmed has a word
        table.add_column("verdict", no_wrap=True)
    counted = uneven(result.lines(condition))
    if counted:
        table.add_column("images", justify="right", no_wrap=True)
    for metric in _beside(result):
        table.add_column(
            metric.upper() if metric == "ssim" else metric, justify="right", no_wrap=True
        )
    table.add_column("s/fit", justify="right", no_wrap=True)
    if width >= _narrow(result, key):
        table.add_column("PSNR by step", no_wrap=True)
    rank = 0
    for line in result.lines(condition):
        ranked = line.role not in ("yardstick", "reference")
        rank += ranked
        cells = _cells(line, str(rank) if ranked else "", result, counted=counted)
        table.add_row(*cells[: len(table.columns)], style=_row_style(line))
    return table


def confirm_table(result: StudyResult, condition: str) -> Table:
    """Return the table of a confirmation: what the trials said, what it said, what is left of it."""
    key = only_factor(result.plan)
    assert result.confirmed is not None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column(key.rpartition(".")[2] or "trial")
    table.add_column("search" if result.plan.space else "trials", justify="right", no_wrap=True)
    table.add_column("confirmed", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("shrinkage", justify="right", no_wrap=True)
    counted = uneven(result.confirmed.lines(condition))
    if counted:
        table.add_column("images", justify="right", no_wrap=True)
    for pair in pairs(result, condition):
        name = label(pair.name, "", result.plan)
        cells: list[RenderableType] = [
            Name(f"{name} ({pair.mark})" if pair.mark else name),
            shown(pair.before),
            shown(pair.after) or "no result",
            verdict(pair.verdict),
            told_shrinkage(pair),
        ]
        if counted:
            cells.append(str(pair.after.n) if pair.after else "")
        table.add_row(*cells)
    return table


def confirm_legend(result: StudyResult, condition: str) -> list[str]:
    """Return what a reader of the table of a confirmation has to know to read it right."""
    if result.confirmed is None:
        return []
    found = pairs(result, condition)
    told = _how_to_read(result.confirmed, condition)
    if told:
        before = "search" if result.plan.space else "trials"
        told = [
            f"\u00b1 confirmed: t interval over images, {_at_once(result.confirmed)}.",
            f"\u00b1 {before}: {_levels(found)}.",
            *told,
        ]
    if any(pair.again for pair in found):
        told += [
            f"{CONFIRMED_BEFORE}: an earlier command tried it on these images; the intervals",
            "allow for it, so they widen with every further trial that is confirmed on them.",
        ]
    return [
        *told,
        "shrinkage: how much smaller the difference came out; \u00b1 95 % (Welch), as images",
        "and seeds are others. What was chosen for its lead loses some.",
    ]


def _levels(found: Sequence[Pair]) -> str:
    """Return at which level a study's own trials gave the intervals of what was confirmed later."""
    own = {pair.best or pair.again: pair.before.level for pair in found if pair.before}
    each = [
        f"{_percent(level)}{' for its best' if best and len(set(own.values())) > 1 else ''}"
        for best, level in sorted(own.items())
    ]
    return ", ".join(dict.fromkeys(each)) or "no result"


def _at_once(result: StudyResult) -> str:
    """Return the level of intervals with a verdict, and what they promise together."""
    size = len(result.plan.contrasts)
    level = _percent(family_level(size))
    every = f"for all {size}" if size > 1 else ""
    if result.looks:
        return f"{level}, to hold at every look {every}".rstrip()
    return f"{level}, so that all {size} hold at once" if size > 1 else level


def _percent(level: float) -> str:
    return f"{100 * level:.3g} %"


def _cells(line: Line, rank: str, result: StudyResult, *, counted: bool) -> list[RenderableType]:
    psnr = line.figures["psnr"]
    failed = f" ({line.failures}/{line.fits} failed)" if line.failures else ""
    return [
        rank,
        Name(label(line.name, line.role, result.plan) + failed),
        "failed" if math.isnan(psnr) else f"{psnr:.2f}",
        "baseline" if line.role == BASELINE else shown(line.difference),
        *([] if result.confirmed else [verdict(line.verdict)]),
        *([str(line.compared or "")] if counted else []),
        *(_number(line.figures.get(metric, math.nan)) for metric in _beside(result)),
        f"{line.seconds:.1f}" if line.seconds else "",
        sparkline(line.curve),
    ]


def _beside(result: StudyResult) -> list[str]:
    return [name for name in result.plan.metrics if name != "psnr"]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _row_style(line: Line) -> str:
    if line.role == BASELINE:
        return "bold"
    return "dim" if line.role in ("yardstick", "reference") else ""


def left_out(result: StudyResult, width: int) -> list[str]:
    """Return that the table has no place for curves, and from which width it has."""
    need = _narrow(result, only_factor(result.plan))
    return [] if width >= need else [f"From {need} columns on the table has PSNR by step, too."]


def legend(result: StudyResult, condition: str) -> list[str]:
    """Return what a reader of the table has to know to read it right."""
    size = len(result.plan.contrasts)
    plain = "\u00b1: 95 % t interval over images"
    if result.confirmed is not None:
        declared = f"; declared contrasts {_percent(family_level(size))}" if size > 1 else ""
        words = "Words are given to what is confirmed."
        return [f"{plain}{declared}.", words, *told_uneven(result, condition)]
    told = _how_to_read(result, condition)
    wider = f"; with a verdict {_at_once(result)}" if size > 1 or result.looks else ""
    return [f"{plain}{wider}.", *told] if told else []


def _how_to_read(result: StudyResult, condition: str) -> list[str]:
    """Return what words mean, what would narrow open intervals and what a race does to means."""
    asked = [line for line in result.lines(condition) if line.verdict]
    if not asked:
        return []
    margin = result.plan.study.margin
    told = how_to_read({line.verdict for line in asked}, margin)
    told += wrapped(how_to_settle([(line.verdict, line.difference) for line in asked], margin))
    if any(line.verdict == UNDECIDED for line in asked):
        told += narrowing(result.account(condition))
    return [*told, *told_uneven(result, condition)]


def _narrow(result: StudyResult, key: str) -> int:
    """Return the width from which the curves have a place beside the names."""
    names = [item.trial.name.removeprefix(f"{key}=") for item in result.trials]
    return 65 + max([10, *map(len, names)])


def components_table(entries: Sequence[Entry], width: int) -> Table:
    """Return the list of components: kind, name, what it does, parameters, origin.

    Args:
        entries: The components, those of a kind together.
        width: Columns of the terminal. Below `WIDE` parameters are left out, and the origin of what
            comes with the program.
    """
    return _all_of(entries) if width >= WIDE else _in_short(entries)


def _all_of(entries: Sequence[Entry]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("kind", "name", "what it does"):
        table.add_column(title, overflow="fold", no_wrap=title != "what it does")
    for title in ("parameter = default (range)", "from"):
        table.add_column(title, overflow="fold")
    for entry in entries:
        parameters = [
            f"{item.name} = {item.default}{f' ({item.domain})' if item.domain else ''}"
            for item in entry.parameters
        ]
        table.add_row(
            entry.kind,
            entry.name,
            Text(entry.summary),
            Text("\n".join(parameters)),
            Text(str(entry.origin)),
        )
    return table


def _in_short(entries: Sequence[Entry]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    kind = ""
    for entry in entries:
        if entry.kind != kind:
            kind = entry.kind
            table.add_row(Text(kind, "bold"), "")
        ours = entry.origin.distribution == _OURS or entry.origin.road == "checkout"
        whence = "" if ours else f" [{entry.origin}]"
        table.add_row(Text(f"  {entry.name}"), Text(f"{entry.summary}{whence}"))
    return table


def problems(registry: Registry) -> list[str]:
    """Return one line per plugin that could not be loaded and per contested name."""
    return [f"not loaded: {item}" for item in registry.broken] + registry.contested
