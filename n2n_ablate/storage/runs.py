"""The runs of a study, one journal each: which one is meant, which are over, what they confirmed on."""

from __future__ import annotations

import functools
import platform
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from n2n_ablate.errors import BusyError, StoreError
from n2n_ablate.files import process_is_gone, read_file
from n2n_ablate.records import Header
from n2n_ablate.storage.journal import Contents, find, studies
from n2n_ablate.storage.journal_writer import read_back
from n2n_ablate.storage.output import Output

_NAMED = 5  # runs that a message lists; it counts the others
_OWNER = re.compile(r"process (\d+) on (.*)")  # see `output.this_process`


def pick(runs: Sequence[Contents], key: str = "") -> Contents:
    """Return the run whose key begins like this; without one the most recently used.

    `runs`: runs of one study, the most recently used first; at least one; `key`: see `Contents.key`.
    """
    matching = [contents for contents in runs if contents.key.startswith(key)]
    if not key or len(matching) == 1:
        return matching[0]
    study = runs[0].path.parent.name
    if matching:
        msg = (
            f"--run {key} could be {len(matching)} runs of study '{study}': {_listed(matching)}. "
            "Give more of the key."
        )
        raise StoreError(msg)
    msg = f"study '{study}' has no run '{key}'. Its runs: {_listed(runs)}."
    raise StoreError(msg)


def described(contents: Contents) -> str:
    """Return what tells a run from others: `8f0eab29fc (2026-05-01 12:00, quick, seed 0, 9 trials)`."""
    parts = [when(contents), contents.profile]
    if contents.header is None:
        parts.append("cannot be opened")
    else:
        plan = contents.header.plan
        parts.append(plan.profile.seeds_in_words)
        count = len(contents.trials)
        parts.append(f"{count} trial{'s' * (count != 1)}")
        parts += [f"--set {text}" for text in plan.settings]
    return f"{contents.key} ({', '.join(parts)})"


def ending(contents: Contents, root: Path) -> str:
    """Return how the last command of a run ended: its status, or `killed`; empty while it runs.

    Nothing is locked for that: whoever runs the study has written its name beside the lock.
    """
    last = next(reversed(contents.commands.values()), None)
    if last is None or last.status:
        return last.status if last else "killed"
    owner = root / "locks" / f"{contents.path.parent.name}-{contents.key}.owner"
    try:
        named = _OWNER.search(read_file(owner).decode(errors="replace"))
    except OSError:
        return "killed"
    here = named is not None and named[2] == platform.node()
    return "killed" if named is not None and here and process_is_gone(int(named[1])) else ""


def when(contents: Contents) -> str:
    """Return when a command last used a run, in local time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(contents.used))


def _listed(runs: Iterable[Contents]) -> str:
    names = [described(contents) for contents in runs]
    rest = f"; and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + rest


class EndedRuns:
    """Ids of the commands of a study that are over, as far as this output folder knows them.

    A process can be gone whose number another one has, or whose machine had another name, as in a
    container that was started again. Its lock is gone for certain. One that runs elsewhere, and whose
    journal was copied meanwhile, counts as over too: it says better when it ends. Journals are read
    when somebody asks for the first time.

    Args:
        command: Id of a command in the journal whose lock this process holds.
    """

    def __init__(self, output: Output, study: str, command: str) -> None:
        self._output, self._study, self._own = output, study, command

    def __contains__(self, invocation: object) -> bool:
        """Say whether a command is over; it is not if nobody here knows it."""
        return invocation in self._ids

    @functools.cached_property
    def _ids(self) -> frozenset[str]:
        try:
            journals = find(self._output.root, self._study)
        except StoreError:  # it was never run in this folder
            return frozenset()
        return frozenset(
            command
            for contents in journals
            if self._free(contents)
            for command in contents.commands
        )

    def _free(self, contents: Contents) -> bool:
        if self._own in contents.commands:
            return True
        try:
            with self._output.lock(f"{self._study}-{contents.key}", "its study is being run"):
                return True
        except (BusyError, StoreError):
            return False


def earlier_confirmations(root: Path, header: Header, latest: Header | None) -> tuple[str, ...]:
    """Return the names of studies, one per earlier confirmation that used some of the same images.

    `root`: the output folder; `header`: of the confirmation that is to begin; `latest`: what the study's
    journal says of its latest confirmation. If that is the same one, which goes on, what was counted when it
    began stands.
    """
    if latest is not None and replace(latest, earlier=()) == read_back(header):
        return latest.earlier
    digests = {image.digest for image in header.images}
    return tuple(
        known.plan.study.name
        for known in _confirmations(root)
        if digests & {image.digest for image in known.images}
    )


def _confirmations(root: Path) -> Iterator[Header]:
    for name in studies(root):
        try:
            journals = find(root, name)
        except StoreError:
            continue
        for journal in journals:
            for each in (*journal.retired, journal.confirm):
                if each is not None and each.header is not None and each.trials:
                    yield each.header
