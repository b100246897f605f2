"""Which stored fits the runs in an output folder need, and the removal of the others."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from n2n_ablate.errors import StoreError, reasoned
from n2n_ablate.storage import journal
from n2n_ablate.storage.journal import Contents
from n2n_ablate.storage.output import Output

_NAMED = 3  # journals that a message names; it counts the others


@dataclass(frozen=True)
class RunFits:
    """The stored fits of one run of a study. Other runs may need them too."""

    journal: Contents  # of the run
    fits: int  # how many of the fits that its journal names are stored
    size: int  # their bytes
    # whether its journal names every fit that it needs: all of it can be read, and the latest
    # command came to its end
    complete: bool


@dataclass(frozen=True)
class CachedFits:
    """What lies in the fit store."""

    # every run in the output folder, by study, the most recently used first
    runs: tuple[RunFits, ...]
    fits: int  # how many files of fits there are, damaged ones included
    size: int  # their bytes
    unused: dict[Path, int]  # bytes by file, of the files that no journal names

    @property
    def incomplete(self) -> list[RunFits]:
        """Runs that may need files in `unused`: those of trials that are not finished."""
        return [run for run in self.runs if not run.complete]


def cached_fits(output: Output) -> CachedFits:
    """Look through the fit store and all journals."""
    files = dict(_files(output.root / "fits"))
    keys = {path.stem: path for path in files if path.suffix == ".safetensors"}
    runs, unused = [], dict(files)
    for study in journal.studies(output.root):
        for contents in journal.find(output.root, study):
            needed = [keys[key] for key in _named(contents) if key in keys]
            size = sum(files[path] for path in needed)
            last = next(reversed(contents.commands.values()), None)
            readable = contents.header is not None and not contents.unreadable
            complete = readable and last is not None and last.status == "finished"
            runs.append(RunFits(contents, len(needed), size, complete))
            for path in needed:
                unused.pop(path, None)
    return CachedFits(tuple(runs), len(files), sum(files.values()), unused)


def remove_unused(output: Output) -> CachedFits:
    """Remove the files of fits that no run needs, and return what there was before.

    Raises:
        BusyError: A study is being run in this folder.
        StoreError: A run is not complete, so what it needs cannot be known; or a file cannot be removed.
    """
    with output.idle():
        cached = cached_fits(output)
        if cached.unused and cached.incomplete:
            named = [f"'{run.journal.path}'" for run in cached.incomplete]
            more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
            msg = (
                "nothing is removed: runs that are not complete may need fits that no finished trial "
                f"names: {', '.join(named[:_NAMED])}{more}. Finish them with the same study command, or "
                "delete these journals to give the runs up."
            )
            raise StoreError(msg)
        for path in cached.unused:
            with reasoned(StoreError, f"the stored fit '{path}' cannot be removed"):
                path.unlink(missing_ok=True)
    return cached


def folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder; what cannot be read counts as nothing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(f"{where}/{name}").st_size
    return total


def _files(fits: Path) -> Iterator[tuple[Path, int]]:
    try:
        for folder in sorted(os.scandir(fits), key=lambda entry: entry.name):
            if folder.is_dir(follow_symlinks=False):
                for entry in os.scandir(folder):
                    ends = entry.name.endswith((".safetensors", ".damaged"))
                    if ends and entry.is_file(follow_symlinks=False):
                        yield Path(entry.path), entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return
    except OSError as error:
        msg = f"the stored fits in '{fits}' cannot be read: {error.strerror}"
        raise StoreError(msg) from error


def _named(contents: Contents) -> set[str]:
    parts = (contents, *contents.retired, *filter(None, [contents.confirm]))
    return {key for part in parts for entry in part.trials.values() for key in entry.fits}
