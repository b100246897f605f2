"""Says once per folder that its plugin files run, and again when there are new ones."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from n2n_ablate.errors import printable
from n2n_ablate.registry.discovery import LOCAL, LOCAL_SWITCH, Candidate


def announce(candidates: Sequence[Candidate]) -> None:
    """Say which files of `./plugins` are about to run for the first time as they are.

    A file that is an installed plugin too, as in a checkout of this project, is not said.
    """
    installed = {mark for each in candidates if not _is_local(each) for mark in each.marks}
    files = {
        Path(each.origin.file): each.marks
        for each in candidates
        if _is_local(each) and not each.marks & installed
    }
    if not files:
        return
    folder = next(iter(files)).parent
    now = "\n".join(sorted(mark for marks in files.values() for mark in marks))
    with contextlib.suppress(OSError, RuntimeError):
        record = _record(folder)
        known = record.read_text(encoding="utf-8") if record.is_file() else ""
        files = {file: marks for file, marks in files.items() if not marks <= {*known.split("\n")}}
        if files:
            with tempfile.NamedTemporaryFile("w", dir=record.parent, delete=False) as new:
                new.write(now)
            Path(new.name).replace(record)
    if files:
        names = printable(", ".join(file.name for file in files))
        line = "note: running the code in %s (new or changed: %s). %s=0 turns this off."
        logging.getLogger("n2n_ablate").warning(line, printable(str(folder)), names, LOCAL_SWITCH)


def _is_local(candidate: Candidate) -> bool:
    return candidate.origin.source == LOCAL and bool(candidate.marks)


def _record(folder: Path) -> Path:
    """Return the file that knows what was said of a folder, in a folder that is there."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    (state / "n2n-ablate").mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return state / "n2n-ablate" / f"plugin-files-{name}.txt"
