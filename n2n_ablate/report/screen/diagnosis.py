"""Draws what was measured of samplers: a table with rich, the warnings, and how to read both."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from n2n_ablate.diagnostics import Diagnosis, Figures
from n2n_ablate.diagnostics.words import MEANING, concerns, signed


def diagnosis_table(found: Mapping[str, Diagnosis]) -> Table:
    """Return a table with a row per sampler or trial, at most 80 columns wide for short names.

    The gain has a column only if it is off for some sampler.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    gains = any(item.word == "gain" for own in found.values() for item in concerns(own))
    table.add_column("sampler", overflow="fold")
    for title in ("leak", "back", "bias", "view noise", "gap", *(["gain"] if gains else [])):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("warning", no_wrap=True)
    for name, own in found.items():
        total = own.total
        words = [item.word for item in concerns(own) if item.word]
        table.add_row(
            Text(name),
            signed(total.leak.value),
            signed(total.back.value) if own.both_ways else "",
            signed(total.bias.value, 1),
            " ".join(f"{item.value:.2f}" for item in total.noise) if total.sigma else "",
            f"{total.gap.value:.1f}",
            *([_gain(total)] if gains else []),
            Text(" ".join(words), style="red"),
        )
    return table


def remarks(found: Mapping[str, Diagnosis]) -> list[str]:
    """Return one sentence per warning or remark, and what each kind of warning implies."""
    told = [(name, item) for name, own in found.items() for item in concerns(own)]
    words = {item.word for _, item in told}
    lines = [f"{name}: {item.sentence}" for name, item in told]
    return lines + [sentence for word, sentence in MEANING.items() if word in words]


def legend(found: Mapping[str, Diagnosis]) -> list[str]:
    """Return what a reader of the table has to know to read it right."""
    totals = [own.total for own in found.values()]
    errors = [item.error for total in totals for item in (total.leak, total.back)]
    leak = max((error for error in errors if math.isfinite(error)), default=0.0)
    sigma = max((total.sigma for total in totals), default=0.0)
    draws = max((own.draws for own in found.values()), default=0)
    first = (
        "leak: of the first view's noise into the second, cov(D1 e, D2 e) / var(D1 e); back: the "
        f"other way; both should be 0. Standard errors: up to {leak:.3f}, from {draws} noisy images "
        "of each clean one."
    )
    second = (
        "bias: mean of D1 y - D2 y in grey levels. view noise: sd(D e) / sigma for each view; sigma "
        f"is {sigma:.1f}. gap: RMS of D1 x - D2 x in grey levels, how far the clean views are apart."
    )
    return [first, second]


def _gain(total: Figures) -> str:
    return f"{max(total.gain):.2f}" if math.isfinite(total.gain[0]) else ""
