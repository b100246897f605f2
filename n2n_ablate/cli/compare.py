"""`n2n-ablate compare`: any two trials of a study in full, or several studies in one view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import grouping, options
from n2n_ablate.cli.screen import results, show_json
from n2n_ablate.errors import StoreError

if TYPE_CHECKING:
    from n2n_ablate.storage.reopen import Reopened

_STUDY, _OTHERS = "Name of a study that was run.", "Trials of it, or studies."


@grouping.grouped
def run(
    study: Annotated[str, typer.Argument(help=_STUDY, metavar="STUDY[@RUN]")],
    others: Annotated[list[str], typer.Argument(help=_OTHERS, metavar="TRIAL|STUDY")],
    chosen: options.StoredRun,
    printed: options.PrintOptions,
) -> None:
    """Compare two trials of a study image by image, or several studies.

    Trials are named as in the table of the study; one alone is compared with the baseline. Trials of
    several studies are contrasted where images, seeds, noise, steps and device are the same; what
    differs is listed. STUDY@RUN is an earlier run, by the beginning of its key.

    Examples:
        n2n-ablate compare center-weight 0.2 baseline
        n2n-ablate compare samplers field-samplers
        n2n-ablate compare samplers samplers@8f0eab29
    """
    from n2n_ablate.storage import journal

    known = journal.studies(chosen.output)
    strange = [word for word in others if word.partition("@")[0] not in known]
    if not strange:
        _studies([study, *others], chosen, printed)
        return
    if len(others) > 2:
        msg = (
            f"compare takes two trials of '{study}', or studies that were run in '{chosen.output}'. "
            f"Not run there: {', '.join(strange)}."
        )
        raise StoreError(msg)
    name, _, key = study.partition("@")
    opened = replace(chosen, key=chosen.key or key).open(name, quiet=printed.quiet)
    _trials(opened, (*others, "baseline")[:2], as_json=printed.as_json)
    options.say_problems(opened, quiet=printed.quiet)


def _trials(opened: Reopened, asked: tuple[str, ...], *, as_json: bool) -> None:
    from n2n_ablate.analysis.analyse import analyse
    from n2n_ablate.analysis.names import meant
    from n2n_ablate.analysis.pairs import compare_trials
    from n2n_ablate.analysis.records import to_plain
    from n2n_ablate.report.compare import comparison_document
    from n2n_ablate.report.render.console import print_document

    names = [trial.trial.name for trial in opened.result.trials]
    one, two = (meant(name, opened.plan, names) for name in asked)
    if one == two:
        msg = f"'{asked[0]}' and '{asked[1]}' are the same trial, {one}. Name two trials."
        raise StoreError(msg)
    analysis = analyse(opened.result, opened.header)
    comparisons = [
        compare_trials(opened.result, analysis, one, two, condition.condition)
        for condition in analysis.conditions
    ]
    if as_json:
        show_json(to_plain(comparisons), allow_nan=False)
        return
    for comparison in comparisons:
        print_document(results(), comparison_document(opened.plan.study.name, comparison))


def _studies(asked: list[str], chosen: options.StoredRun, printed: options.PrintOptions) -> None:
    from n2n_ablate.analysis.records import to_plain
    from n2n_ablate.analysis.studies import side_by_side
    from n2n_ablate.report.compare import side_by_side_document
    from n2n_ablate.report.render.console import print_document

    if chosen.key:
        msg = "--run is for one study. Of several, name a run as STUDY@RUN."
        raise StoreError(msg)
    opened: dict[str, Reopened] = {}
    for word in asked:
        name, _, key = word.partition("@")
        one = replace(chosen, key=key).open(name, quiet=printed.quiet or "@" in word)
        if any(one.journal.key == other.journal.key for other in opened.values()):
            msg = f"'{word}' was named twice: run {one.journal.key} of study '{name}'"
            raise StoreError(msg)
        opened[word] = one
    tables = side_by_side({word: (one.result, one.header) for word, one in opened.items()})
    if printed.as_json:
        show_json(to_plain(tables), allow_nan=False)
    else:
        print_document(results(), side_by_side_document(tables))
    for word, one in opened.items():
        options.say_problems(one, quiet=printed.quiet, prefix=f"{word}: ")
