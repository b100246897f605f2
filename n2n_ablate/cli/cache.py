"""`n2n-ablate cache`: the stored fits of every run, their size, and the removal of those without a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.screen import results, say

if TYPE_CHECKING:
    from rich.table import Table

    from n2n_ablate.storage.cached_fits import CachedFits, RunFits


def run(
    output: options.Output = Path("mlruns"),
    *,
    remove_unused: Annotated[
        bool, typer.Option("--remove-unused", help="Remove the stored fits that no run needs.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the stored fits of every run and their size, and remove those that no run needs.

    To give up a run, delete its journal, mlruns/studies/STUDY/PROFILE-RUN.jsonl, then use
    --remove-unused. Nothing is removed while a study is running, or while a run is unfinished.

    Examples:
        n2n-ablate cache

        n2n-ablate cache --remove-unused
    """
    from n2n_ablate.report.numbers import format_size, pluralize
    from n2n_ablate.storage import cached_fits
    from n2n_ablate.storage.output import Output

    folder = Output(output, reading=not remove_unused)
    look = cached_fits.remove_unused if remove_unused else cached_fits.cached_fits
    cached = look(folder)
    unused = sum(cached.unused.values())
    if as_json:
        left = {"fits": len(cached.unused), "bytes": unused, "removed": remove_unused}
        size = cached_fits.folder_size(folder.root)
        stdout.write_json(_to_json(cached) | {"unused": left, "folder_bytes": size})
        return
    those = f"{pluralize(len(cached.unused), 'stored fit')}, {format_size(unused)}"
    if remove_unused:
        say(f"removed: {those}" if cached.unused else "every stored fit is needed by a run")
        return
    if cached.runs:
        results().print(_table(cached))
    whole = format_size(cached_fits.folder_size(folder.root))
    say(
        f"{pluralize(cached.fits, 'stored fit')}, {format_size(cached.size)}; '{output}' as a whole: "
        f"{whole}. A fit that several runs use is counted for each of them."
    )
    if cached.unused:
        say(f"Used by no finished trial: {those}. n2n-ablate cache --remove-unused removes them.")


def _to_json(cached: CachedFits) -> dict[str, Any]:
    runs = [_plain(one) for one in cached.runs]
    return {"runs": runs, "fits": cached.fits, "bytes": cached.size}


def _plain(one: RunFits) -> dict[str, Any]:
    return {
        "study": one.journal.path.parent.name,
        "run": one.journal.key,
        "profile": one.journal.profile,
        "fits": one.fits,
        "bytes": one.size,
        "complete": one.complete,
    }


def _table(cached: CachedFits) -> Table:
    from rich import box
    from rich.table import Table

    from n2n_ablate.report.numbers import format_size
    from n2n_ablate.storage import runs

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("study", "run", "last used", "profile", "fits", "size", "state"):
        table.add_column(title, justify="right" if title in ("fits", "size") else "left")
    for one in cached.runs:
        contents = one.journal
        state = "finished" if one.complete else "unfinished" if contents.header else "unreadable"
        table.add_row(
            contents.path.parent.name,
            contents.key,
            runs.when(contents),
            contents.profile,
            str(one.fits),
            format_size(one.size),
            state,
        )
    return table
