"""`n2n-ablate compare`: any two trials of a study in full, or several studies in one view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.opened import open_run
from n2n_ablate.cli.screen import results, say
from n2n_ablate.errors import StoreError

if TYPE_CHECKING:
    from n2n_ablate.storage.reopen import Reopened


def run(
    study: Annotated[
        str, typer.Argument(help="Name of a study that was run.", metavar="STUDY[@RUN]")
    ],
    others: Annotated[
        list[str],
        typer.Argument(
            help="Two trials of it, as its table calls them (one: against the baseline); or further "
            "studies.",
            metavar="A [B] | STUDY[@RUN]...",
        ),
    ],
    profile: options.Ran = "",
    key: options.Run = "",
    output: options.Output = Path("mlruns"),
    *,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare two trials of a study in full, image by image, or several studies in one view.

    Trials of several studies are contrasted where images, seeds, noise, steps and device are the
    same; what differs is said. STUDY@RUN is an earlier run, by the beginning of its key. Trains
    nothing.

    Examples:
        n2n-ablate compare center-weight 0.2 baseline

        n2n-ablate compare samplers field-samplers

        n2n-ablate compare samplers samplers@8f0eab29
    """
    from n2n_ablate.storage import journal

    known = journal.studies(output)
    if all(word.partition("@")[0] in known for word in others):
        _studies([study, *others], output, profile, key, as_json=as_json, quiet=quiet)
        return
    if len(others) > 2:
        strange = [word for word in others if word.partition("@")[0] not in known]
        msg = (
            f"compare takes two trials of '{study}', or studies that were run in '{output}'. "
            f"Not run there: {', '.join(strange)}."
        )
        raise StoreError(msg)
    name, _, run_key = study.partition("@")
    opened = open_run(output, name, profile, key or run_key, quiet=quiet)
    _trials(opened, (*others, "baseline")[:2], as_json=as_json)
    for problem in () if quiet else opened.problems():
        say(f"note: {problem}")


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
        stdout.write_json(to_plain(comparisons), allow_nan=False)
        return
    for comparison in comparisons:
        document = comparison_document(opened.plan.study.name, comparison)
        print_document(results(), document)


def _studies(
    asked: list[str], output: Path, profile: str, key: str, *, as_json: bool, quiet: bool
) -> None:
    from n2n_ablate.analysis.records import to_plain
    from n2n_ablate.analysis.studies import side_by_side
    from n2n_ablate.report.compare import side_by_side_document
    from n2n_ablate.report.render.console import print_document

    if key:
        msg = "--run is for one study. Of several, name a run as STUDY@RUN."
        raise StoreError(msg)
    opened: dict[str, Reopened] = {}
    for word in asked:
        name, _, run_key = word.partition("@")
        one = open_run(output, name, profile, run_key, quiet=quiet or "@" in word)
        if any(one.journal.key == other.journal.key for other in opened.values()):
            msg = f"'{word}' was named twice: run {one.journal.key} of study '{name}'"
            raise StoreError(msg)
        opened[word] = one
    tables = side_by_side({word: (one.result, one.header) for word, one in opened.items()})
    if as_json:
        stdout.write_json(to_plain(tables), allow_nan=False)
    else:
        print_document(results(), side_by_side_document(tables))
    for word, one in () if quiet else opened.items():
        for problem in one.problems():
            say(f"note: {word}: {problem}")
