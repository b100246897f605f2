"""Draws the effects of a factorial study. Computes nothing: see `effects`."""

from __future__ import annotations

from rich import box
from rich.table import Table

from n2n_ablate.analysis import StudyResult
from n2n_ablate.analysis.answer import shown
from n2n_ablate.analysis.effects import effects
from n2n_ablate.analysis.settling import how_to_settle
from n2n_ablate.report.screen.cells import Name, how_to_read, narrowing, verdict, wrapped
from n2n_ablate.stats import UNDECIDED


def effects_table(result: StudyResult, condition: str) -> Table:
    """Return main effects and interactions under a condition."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("effect")
    table.add_column("dB", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for line in effects(result, condition):
        dB = shown(line.difference) or "a cell is missing"
        table.add_row(Name(line.effect.name), dB, verdict(line.verdict))
    return table


def legend(result: StudyResult, condition: str) -> list[str]:
    """Return what a reader of the effects has to know to read them right."""
    size, margin = len(result.plan.effects), result.plan.study.margin
    at_once = f", so wide that all {size} hold at once" if size > 1 else ""
    told = [
        "effect: change from the baseline's level, averaged over the levels of the other factors.",
        f"\u00b1: 95 % t interval over images{at_once}.",
        *how_to_read({line.verdict for line in effects(result, condition)}, margin),
    ]
    if any(effect.order > 1 for effect in result.plan.effects):
        told.append("a x b: what both give together beyond the sum of each; additive: nothing.")
    found = effects(result, condition)
    words = [(line.verdict, line.difference) for line in found if line.effect.order == 1]
    told += wrapped(how_to_settle(words, margin, race=False))
    if any(line.verdict == UNDECIDED for line in found):
        told += narrowing(result.account(condition))
    return told
