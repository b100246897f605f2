"""Writes the journal of a study, line by line; a crash costs at most the line being written."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from n2n_ablate.errors import StoreError
from n2n_ablate.header import Header
from n2n_ablate.invocation import Invocation
from n2n_ablate.journal import FORMAT, Entry, header_from, read
from n2n_ablate.output import Output
from n2n_ablate.results import TrialResult, Yardsticks
from n2n_ablate.store import write_whole
from n2n_ablate.study import Plan, saved


class Journal:
    """The journal of one study on one bench, to be written; `key` is the bench's.

    Whoever writes holds the lock of the study.
    """

    def __init__(self, output: Output, plan: Plan, key: str) -> None:
        folder = output.root / "studies" / plan.study.name
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{plan.profile.name}-{key}.jsonl"
        self._contents = read(self.path)
        self._command = ""

    def begin(self, header: Header, invocation: Invocation) -> None:
        """Write the header, unless it stands there already, and the command.

        Raises:
            StoreError: The file cannot be written.
        """
        head = _header_line(header)
        command = {
            "line": "command",
            "at": time.time(),
            "host": platform.node(),
            "invocation": asdict(invocation),
        }
        # Through JSON, which knows no tuples: what was read is compared with what would be read.
        known = header_from(json.loads(json.dumps(head))) == self._contents.header
        self._command = invocation.id
        self._append([command] if known else [head, command])

    def yardsticks(self, values: Yardsticks) -> None:
        """Append what needs no training, unless it stands there already."""
        if values == self._contents.yardsticks:
            return
        rows = {
            name: [[*place, dict(figures)] for place, figures in places.items()]
            for name, places in values.items()
        }
        self._append([{"line": "yardsticks", "values": rows}])

    def add(self, result: TrialResult, psnr: float | None) -> None:
        """Append a trial, unless it is there already with the same fits."""
        trial, fits = result.trial, tuple(row.result.key for row in result.rows)
        passing = {row.result.key: row.result.failure for row in result.rows if row.result.passing}
        old = self._contents.trials.get(trial.name)
        if old and (old.fits, old.psnr, dict(old.failures)) == (fits, psnr, passing):
            return
        entry = Entry(
            name=trial.name,
            role=trial.role,
            recipe=trial.recipe,
            psnr=psnr,
            fits=fits,
            values=dict(trial.values),
            failures=passing,
            command=self._command,
            at=time.time(),
        )
        self._append([{"line": "trial", **asdict(entry), "recipe": trial.recipe.to_json()}])
        self._contents.trials[trial.name] = entry

    def end(self, status: str, trials: Iterable[str]) -> None:
        """Append how the command ended (`finished`, `interrupted`, `failed`) and what it showed."""
        end = {"line": "end", "command": self._command, "at": time.time(), "status": status}
        self._append([{**end, "trials": list(trials)}])

    def _append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()
        try:
            if not self.path.exists():
                write_whole(self.path, text)
                return
            with self.path.open("r+b") as file:
                file.truncate(_whole(file.read()))  # a line that a crash cut short
                file.seek(0, os.SEEK_END)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            msg = f"the journal '{self.path}' cannot be written: {error.strerror}"
            raise StoreError(msg) from error


def _header_line(header: Header) -> dict[str, Any]:
    return {
        "line": "study",
        "format": FORMAT,
        "plan": saved.to_json(header.plan),
        "images": [asdict(mark) for mark in header.images],
        "steps": header.steps,
        "device": header.device,
        "precision": header.precision,
        "folder": header.folder,
    }


def _whole(content: bytes) -> int:
    """Return where the last whole line ends."""
    return content.rfind(b"\n") + 1
