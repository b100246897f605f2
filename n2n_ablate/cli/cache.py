"""`n2n-ablate cache`: the stored fits of every run, their size, and the removal of those without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import results, say, show_json, table

if TYPE_CHECKING:
    from rich.table import Table

    from n2n_ablate.storage.cached_fits import CachedFits, RunFits

_REMOVE = "Remove the stored fits that no run needs."


def run(
    output: options.Output = options.MLRUNS,
    *,
    remove_unused: Annotated[bool, options.flag(_REMOVE, "--remove-unused")] = False,
    as_json: options.Json = False,
) -> None:
    """List the stored fits of every run, or remove those that no run needs.

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
    cached = (cached_fits.remove_unused if remove_unused else cached_fits.cached_fits)(folder)
    unused, size = sum(cached.unused.values()), cached_fits.folder_size(folder.root)
    if as_json:
        left = {"fits": len(cached.unused), "bytes": unused, "removed": remove_unused}
        whole = {"fits": cached.fits, "bytes": cached.size, "unused": left, "folder_bytes": size}
        show_json({"runs": [_plain(one) for one in cached.runs], **whole})
        return
    those = f"{pluralize(len(cached.unused), 'stored fit')}, {format_size(unused)}"
    if remove_unused:
        say(f"removed: {those}" if cached.unused else "every stored fit is needed by a run")
        return
    if cached.runs:
        results().print(_table(cached))
    say(
        f"{pluralize(cached.fits, 'stored fit')}, {format_size(cached.size)}; '{output}' as a whole: "
        f"{format_size(size)}. A fit that several runs use is counted for each of them."
    )
    if cached.unused:
        say(f"Used by no finished trial: {those}. n2n-ablate cache --remove-unused removes them.")


def _plain(one: RunFits) -> dict[str, object]:
    about = {"study": one.journal.path.parent.name, "run": one.journal.key}
    more = {"profile": one.journal.profile, "fits": one.fits, "bytes": one.size}
    return {**about, **more, "complete": one.complete}


def _table(cached: CachedFits) -> Table:
    from n2n_ablate.report.numbers import format_size
    from n2n_ablate.storage import runs

    titles = ("study", "run", "last used", "profile", "fits", "size", "state")
    rows = table(*titles, right=("fits", "size"))
    for one in cached.runs:
        contents, size = one.journal, format_size(one.size)
        state = "finished" if one.complete else "unfinished" if contents.header else "unreadable"
        about = (contents.path.parent.name, contents.key, runs.when(contents), contents.profile)
        rows.add_row(*about, str(one.fits), size, state)
    return rows
