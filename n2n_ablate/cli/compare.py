"""`n2n-ablate compare`: one contrast between any two trials of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.opened import open_run
from n2n_ablate.cli.screen import results, say


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
    """Compare two trials of a study in full, image by image.

    Trains nothing.

    Example:
        n2n-ablate compare center-weight 0.2 baseline
    """
    from n2n_ablate.analysis.analyse import analyse
    from n2n_ablate.analysis.names import meant
    from n2n_ablate.analysis.pairs import compare_trials
    from n2n_ablate.analysis.records import to_plain
    from n2n_ablate.errors import StoreError
    from n2n_ablate.report.compare import comparison_document
    from n2n_ablate.report.render.console import print_document

    opened = open_run(output, study, profile, key, quiet=quiet)
    names = [trial.trial.name for trial in opened.result.trials]
    one, two = (meant(name, opened.plan, names) for name in (first, second))
    if one == two:
        msg = f"'{first}' and '{second}' are the same trial, {one}. Name two trials."
        raise StoreError(msg)
    analysis = analyse(opened.result, opened.header)
    comparisons = [
        compare_trials(opened.result, analysis, one, two, condition.condition)
        for condition in analysis.conditions
    ]
    if as_json:
        stdout.write_json(to_plain(comparisons), allow_nan=False)
        return
    for comparison in comparisons:
        print_document(results(), comparison_document(study, comparison))
    for problem in () if quiet else opened.problems():
        say(f"note: {problem}")
