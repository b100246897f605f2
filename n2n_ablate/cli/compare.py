"""`n2n-ablate compare`: one contrast between any two trials of a study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.opened import open_run
from n2n_ablate.cli.screen import results, say

if TYPE_CHECKING:
    from rich.table import Table

    from n2n_ablate.analysis.compare import Comparison
    from n2n_ablate.stats import Peak


def run(
    study: options.Finished,
    first: Annotated[str, typer.Argument(help="A trial, as the table calls it.", metavar="A")],
    second: Annotated[
        str, typer.Argument(help="What it is compared with, e.g. baseline.", metavar="B")
    ] = "baseline",
    profile: options.Ran = "",
    key: options.Run = "",
    output: options.Output = Path("mlruns"),
    *,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare two trials of a study that was run: every number of one contrast.

    Trains nothing.

    Example:
        n2n-ablate compare center-weight 0.2 baseline
    """
    from n2n_ablate.analysis.compare import compare, sentences
    from n2n_ablate.analysis.names import meant
    from n2n_ablate.errors import StoreError

    found = open_run(output, study, profile, key, quiet=quiet)
    trials = {item.trial.name: item for item in found.result.trials}
    one, two = (trials[meant(name, found.plan, trials)] for name in (first, second))
    if one is two:
        msg = f"'{first}' and '{second}' are the same trial, {one.trial.name}. Name two trials."
        raise StoreError(msg)
    every = [
        compare(found.result, one, two, condition.label) for condition in found.plan.conditions
    ]
    if as_json:
        stdout.write_json([_plain(item) for item in every], allow_nan=False)
        return
    out = results()
    for place, item in enumerate(every):
        if place:
            out.print()
        out.print(f"{study}: {item.condition}", markup=False, highlight=False)
        out.print(_table(item))
        for text in sentences(item, found.plan.study.margin):
            out.print(text, markup=False, highlight=False)
    for problem in () if quiet else found.problems():
        say(f"note: {problem}")


def _table(found: Comparison) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from n2n_ablate.analysis.answer import signed

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("PSNR dB", overflow="fold")
    for name in (found.called(found.first), found.called(found.second), "difference"):
        table.add_column(Text(name), justify="right", overflow="fold")
    for image, (one, two) in found.images.items():
        gap = one - two
        shown = [f"{value:.2f}" if math.isfinite(value) else "failed" for value in (one, two)]
        table.add_row(Text(image), *shown, signed(gap) if math.isfinite(gap) else "")
    return table


def _plain(found: Comparison) -> dict[str, Any]:
    gap, cross = found.difference, found.crossing
    return {
        "confirmed": found.confirmed and _plain(found.confirmed),
        "condition": found.condition,
        "first": found.first,
        "second": found.second,
        "declared": found.declared,
        "verdict": found.verdict or None,
        "difference": gap and gap.mean,
        "interval": [gap.low, gap.high] if gap and math.isfinite(gap.half_width) else None,
        "level": gap and gap.level,
        "looks": list(found.looks),
        "caveat": (gap and gap.caveat) or None,
        "peaks": [item and _peak(item) for item in found.peaks],
        "changes_places": {"step": cross.step, "interval": [cross.low, cross.high]}
        if cross and cross.step is not None
        else None,
        "variance": found.account.advice,
        "images": {
            name: [value if math.isfinite(value) else None for value in both]
            for name, both in found.images.items()
        },
    }


def _peak(found: Peak) -> dict[str, Any]:
    gain = found.gain if math.isfinite(found.gain) else None
    return {"step": found.step, "gain": gain, "interval": _ends(found.low, found.high)}


def _ends(low: float, high: float) -> list[float] | None:
    return [low, high] if math.isfinite(low) and math.isfinite(high) else None
