"""Which commands are over, wherever they ran: nobody holds the lock of their journal any more."""

from __future__ import annotations

import functools

from n2n_ablate.errors import BusyError, StoreError
from n2n_ablate.storage import journal
from n2n_ablate.storage.output import Output


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
            journals = journal.find(self._output.root, self._study)
        except StoreError:  # it was never run in this folder
            return frozenset()
        return frozenset(
            command
            for contents in journals
            if self._free(contents)
            for command in contents.commands
        )

    def _free(self, contents: journal.Contents) -> bool:
        if self._own in contents.commands:
            return True
        try:
            with self._output.lock(f"{self._study}-{contents.key}", "its study is being run"):
                return True
        except (BusyError, StoreError):
            return False
