"""Opens the run of a study that a command was asked for, and says which of several it is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from n2n_ablate.cli.screen import say

if TYPE_CHECKING:
    from n2n_ablate.storage.reopen import Reopened


def open_run(output: Path, study: str, profile: str, key: str, *, quiet: bool) -> Reopened:
    """Open the run of this key, else the latest of this profile, else the latest of all.

    Where there was a choice and nobody made it, one line on stderr says what was taken.
    """
    from n2n_ablate.storage import runs
    from n2n_ablate.storage.reopen import reopen

    found = reopen(output, study, profile, key)
    count = sum(profile in ("", item.profile) for item in found.runs)
    if count > 1 and not (key or quiet):
        where = [] if output == Path("mlruns") else ["--output", str(output)]
        words = shlex.join(["n2n-ablate", "studies", study, *where])
        text = f"the latest of {count} runs: {runs.described(found.journal)}; --run takes another: {words}"
        say(text)
    return found
