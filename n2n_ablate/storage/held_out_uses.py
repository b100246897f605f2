"""How often held-out images were used before: every confirmation on them makes the next one weaker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from n2n_ablate.errors import StoreError
from n2n_ablate.records import Header
from n2n_ablate.storage.journal import find, studies
from n2n_ablate.storage.journal_writer import read_back


def earlier_confirmations(root: Path, header: Header, latest: Header | None) -> tuple[str, ...]:
    """Return the names of studies, one per earlier confirmation that used some of the same images.

    Args:
        root: The output folder.
        header: Of the confirmation that is to begin.
        latest: What the study's journal says of its latest confirmation. If that is the same one, which
            goes on, what was counted when it began stands.
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
