"""Says once per folder that its plugin files run, and again when there are new ones."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from n2n_ablate.errors import printable
from n2n_ablate.files import write_whole
from n2n_ablate.registry.discovery import LOCAL, LOCAL_SWITCH, Candidate


def announce(candidates: Sequence[Candidate]) -> None:
    """Say which files of `./plugins` are about to run for the first time as they are.

    A file that is an installed plugin too, as in a checkout of this project, is not announced.
    """
    local = [each for each in candidates if each.origin.source == LOCAL and each.marks]
    installed = {mark for each in candidates if each not in local for mark in each.marks}
    new = [each for each in local if not each.marks & installed]
    if not new:
        return
    folder = Path(new[0].origin.file).parent
    now = "\n".join(sorted(mark for each in new for mark in each.marks))
    with contextlib.suppress(OSError, RuntimeError):
        record = _record(folder)
        known = record.read_text(encoding="utf-8") if record.is_file() else ""
        new = [each for each in new if not each.marks <= {*known.split("\n")}]
        if new:
            write_whole(record, now)
    if new:
        names = printable(", ".join(Path(each.origin.file).name for each in new))
        line = "note: running the code in %s (new or changed: %s). %s=0 turns this off."
        logging.getLogger("n2n_ablate").warning(line, printable(str(folder)), names, LOCAL_SWITCH)


def _record(folder: Path) -> Path:
    """Return the file that remembers what was announced of a folder; its own folder is made."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    (state / "n2n-ablate").mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return state / "n2n-ablate" / f"plugin-files-{name}.txt"
