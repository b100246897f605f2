"""`n2n-ablate table`: the results of a study as stored so far, once or while it runs elsewhere."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from n2n_ablate.cli import grouping, options
from n2n_ablate.cli.screen import results, show, show_json
from n2n_ablate.errors import StoreError
from n2n_ablate.report.numbers import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from n2n_ablate.records import StudyTrials
    from n2n_ablate.storage.reopen import Reopened

_PAUSE = 1.0  # seconds between two looks at the journal


@grouping.grouped
def run(
    study: options.Finished,
    chosen: options.StoredRun,
    printed: options.PrintOptions,
    *,
    watch: Annotated[
        bool, options.flag("Redraw as trials finish, until the study ends.", "--watch", "-w")
    ] = False,
) -> None:
    """Print the results of a study, also while it is running.

    Reads what is stored and trains nothing. Where stdout is no terminal, --watch prints one line per
    trial.

    Examples:
        n2n-ablate table center-weight
        n2n-ablate table center-weight --watch
    """
    from n2n_ablate.analysis.analyse import to_json

    if watch and printed.as_json:
        msg = "--watch prints for people. Use --json without it, as often as you like."
        raise StoreError(msg)
    opened = chosen.open(study, quiet=printed.quiet)
    if printed.as_json:
        show_json(to_json(opened.result, opened.header), allow_nan=False)
        return
    out = results()
    if watch:
        opened = _watched(out, opened, chosen.output)
    if not watch or out.is_terminal:
        _print(out, opened)
    options.say_problems(opened, quiet=printed.quiet)


def _print(out: Console, opened: Reopened) -> None:
    from n2n_ablate.analysis.analyse import analyse
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.study import study_document

    analysis = analyse(_as_trained(opened.result), opened.header)
    print_document(out, study_document(analysis, opened.plan.heeded))


def _watched(out: Console, opened: Reopened, output: Path) -> Reopened:
    """Show a run until its command has ended, and return it as it is then."""
    from n2n_ablate.storage.runs import ending

    printed: set[str] = set()
    status = ""
    with contextlib.ExitStack() as screen:
        if out.is_terminal:
            screen.enter_context(out.screen(hide_cursor=True))
        for now in _changes(opened, output):
            opened, status = now, ending(now.journal, output)
            if out.is_terminal:
                out.clear()
                _print(out, opened)
                out.print(f"\n{_progress(opened)}. Ctrl-C stops watching.")
            else:
                show(*_lines(opened, printed))
    show(f"{_progress(opened)}: {status}")
    return opened


def _as_trained(result: StudyTrials) -> StudyTrials:
    """Return results of which none counts as cached: everything that is read from disk would."""
    trials = [
        replace(one, rows=tuple(replace(row, cached=False) for row in one.rows))
        for one in result.trials
    ]
    confirmed = _as_trained(result.confirmed) if result.confirmed else None
    return replace(result, trials=tuple(trials), confirmed=confirmed)


def _changes(opened: Reopened, output: Path) -> Iterator[Reopened]:
    """Yield a run whenever its journal has grown, the last time when its command has ended."""
    from n2n_ablate.storage import journal, reopen
    from n2n_ablate.storage.runs import ending

    path, size = opened.journal.path, -1
    while True:
        before, size = size, path.stat().st_size
        contents = opened.journal
        if size != before:
            contents = journal.read(path)
            opened = reopen.opened(contents, output)
            yield opened
        if ending(contents, output):
            return
        time.sleep(_PAUSE)


def _lines(opened: Reopened, printed: set[str]) -> Iterator[str]:
    """Yield a line per trial that was finished since; `printed` are those that had one."""
    from n2n_ablate.report.text.progress import trial_finished

    for stage in filter(None, (opened, opened.confirmation)):
        where = " (confirmation)" if stage.plan.confirming else ""
        for result in _as_trained(stage.result).trials:
            name = f"{result.trial.name}{where}"
            if result.trial.name in stage.finished and name not in printed:
                printed.add(name)
                yield f"{trial_finished(result, stage.result)}{where}"


def _progress(opened: Reopened) -> str:
    plan = opened.plan
    planned = max(len(plan.fixed) + plan.searched, len(opened.finished))
    text = f"{len(opened.finished)} of {pluralize(planned, 'trial')}"
    if opened.confirmation:
        later = opened.confirmation
        text += f", {len(later.finished)} of {len(later.plan.fixed)} of the confirmation"
    return text
