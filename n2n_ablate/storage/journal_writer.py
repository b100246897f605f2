"""Writes the journal of a study, line by line; a crash costs at most the line being written."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any, BinaryIO

from n2n_ablate.errors import StoreError, reasoned
from n2n_ablate.files import make_folders, write_whole
from n2n_ablate.records import (
    Header,
    ImageRef,
    Invocation,
    ReferenceMethods,
    StudyTrials,
    TrialResult,
)
from n2n_ablate.storage.journal import FORMAT, HEADER, Contents, Entry, header_from, read
from n2n_ablate.storage.output import Output
from n2n_ablate.study import Plan, Trial, saved

_BLOCK = 2**16  # bytes that are read at once


class Section:
    """What a journal says of the trials of one plan: those of the study, or those of its confirmation."""

    def __init__(self, journal: Journal, contents: Contents, *, confirm: bool = False) -> None:
        self._journal = journal
        self._contents = contents
        self._confirm = confirm

    def reference_methods(self, values: ReferenceMethods) -> None:
        """Append what needs no training, unless it stands there already."""
        if values == self._contents.reference_methods:
            return
        rows = {
            name: [[*key, dict(figures)] for key, figures in places.items()]
            for name, places in values.items()
        }
        self._append({"line": "reference_methods", "values": rows})

    def stored_reference_methods(self, baseline: str, fits: Collection[str]) -> ReferenceMethods:
        """Return what stands there already, nothing if its baseline has other fits.

        The same fits are of the same images, noise, metrics and engine.
        """
        old = self._contents.trials.get(baseline)
        return self._contents.reference_methods if old and set(old.fits) == set(fits) else {}

    def add(self, result: TrialResult, score: float | None, *, more: bool = False) -> None:
        """Append a trial, unless it is there already with the same fits.

        `score`: see `Entry`.
        """
        trial, fits = result.trial, tuple(row.result.key for row in result.rows)
        passing = {row.result.key: row.result.failure for row in result.rows if row.result.passing}
        old = self._contents.trials.get(trial.name)
        new = (fits, score, passing, more)
        if old and (old.fits, old.score, dict(old.failures), old.more) == new:
            return
        if old and more and set(fits) <= set(old.fits):
            return  # a race that goes on passes its earlier looks once more
        entry = Entry(
            name=trial.name,
            role=trial.role,
            recipe=trial.recipe,
            score=score,
            fits=fits,
            values=dict(trial.values),
            failures=passing,
            command=self._journal.command,
            at=time.time(),
            more=more,
        )
        self._append({"line": "trial", **asdict(entry), "recipe": trial.recipe.to_json()})
        self._contents.trials[trial.name] = entry

    def _append(self, line: Mapping[str, Any]) -> None:
        self._journal.append([{"line": "confirm", "of": line} if self._confirm else line])


class Journal:
    """The journal of one study on one set of images, to be written; `key` is that of its paired data.

    Whoever writes holds the lock of the study.

    Attributes:
        path: The file.
        study: Of the trials of the study.
        command: The `Invocation.id` of the command that writes, once it has begun.
    """

    def __init__(self, output: Output, plan: Plan, key: str) -> None:
        folder = output.root / "studies" / plan.study.name
        self.path = folder / f"{plan.profile.name}-{key}.jsonl"
        self._written = f"the journal '{self.path}' cannot be written"
        with reasoned(StoreError, self._written):
            make_folders(folder)
        self._contents = read(self.path)
        self.study = Section(self, self._contents)
        self.command = ""

    def begin(self, header: Header, invocation: Invocation) -> None:
        """Write the header, unless it stands there already, and the command."""
        command = {
            "line": "command",
            "at": time.time(),
            "host": platform.node(),
            "invocation": asdict(invocation),
        }
        self.command = invocation.id
        head = _header_line(header)
        known = read_back(header) == self._contents.header
        self.append([command] if known else [head, command])

    def confirmed_on(self, images: Iterable[ImageRef]) -> list[Trial]:
        """See `Contents.confirmed_on`."""
        return self._contents.confirmed_on(images)

    @property
    def confirmed(self) -> Header | None:
        """The header of the latest confirmation, None if there was none."""
        return self._contents.confirm.header if self._contents.confirm else None

    def confirmation(self, header: Header) -> Section:
        """Write the header of the confirmation, unless it stands there already.

        Returns:
            Where its trials are written. Those that stand there already are of the same fits, or
            will be written anew.
        """
        head = _header_line(header)
        old = self._contents.confirm
        if old is None or read_back(header) != old.header:
            self.append([{"line": "confirm", "of": head}])
            old = read(self.path).confirm or Contents(self.path)
            self._contents.confirm = old
        return Section(self, old, confirm=True)

    def end(self, status: str, result: StudyTrials) -> None:
        """Append how the command ended (`finished`, `interrupted`, `failed`) and what it showed."""
        end: dict[str, Any] = {
            "line": "end",
            "command": self.command,
            "at": time.time(),
            "status": status,
        }
        end["trials"] = [each.trial.name for each in result.trials]
        later = result.confirmed
        end["confirmed"] = later and [each.trial.name for each in later.trials]
        self.append([end])

    def append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Append lines; a crash costs at most the last of them."""
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()
        with reasoned(StoreError, self._written):
            if not self.path.exists():
                write_whole(self.path, text)
                return
            with self.path.open("r+b") as file:
                file.truncate(_whole(file))  # a line that a crash cut short
                file.seek(0, os.SEEK_END)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())


def read_back(header: Header) -> Header:
    """Return a header as it would be read: through JSON, which knows no tuples."""
    return header_from(json.loads(json.dumps(_header_line(header))))


def _header_line(header: Header) -> dict[str, Any]:
    return {
        "line": "study",
        "format": FORMAT,
        "plan": saved.to_json(header.plan),
        **{name: getattr(header, name) for name in HEADER},
        "images": [asdict(each) for each in header.images],
    }


def _whole(file: BinaryIO) -> int:
    """Return where the last whole line ends; only the end of a long journal is read."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        if last := file.read(end - start).rfind(b"\n") + 1:
            return start + last
        end = start
    return 0
