"""What MLflow already has of a study, and which of it was left half written by a process that is gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from n2n_ablate.files import process_is_gone
from n2n_ablate.tracking.address import PLAN
from n2n_ablate.tracking.tags import FILES, FITS, HOST, OUTCOME, PICTURES, PID, VERDICT, Kept

if TYPE_CHECKING:
    from mlflow.entities import Run

    from n2n_ablate.tracking.store import MlflowStore

_WHOLE = ("FINISHED", "FAILED")


@dataclass
class Known:
    """The runs of one plan."""

    trials: dict[str, Kept] = field(default_factory=dict)  # those that are whole, by `FITS`
    # ids of those that are not, by `FITS`. They may go once the whole one is there.
    halves: dict[str, list[str]] = field(default_factory=dict)
    summary: Kept | None = None  # of the plan
    repaired: int = 0  # how many of the study's a dead process had left running; they are ended now
    # machines on which, for all that is known, somebody is still writing
    running: list[str] = field(default_factory=list)


def look(
    store: MlflowStore,
    experiment: str,
    plan: str,
    ended: Container[str] = frozenset(),
    writing: str = "",
) -> Known:
    """Look through all runs of a plan, and end those of the study whose process is gone.

    `ended`: ids of invocations that are known to be over, wherever they ran; `writing`: id of a run that is
    being written by whoever asks.
    """
    known = Known()
    # With other seeds, say, it is another plan: what that left running would stay so for ever.
    for run in list(store.runs(experiment, "attributes.status = 'RUNNING'")):
        tags = run.data.tags
        if run.info.run_id == writing:
            continue
        if _is_dead(tags) or tags.get("invocation", "") in ended:
            store.client.set_terminated(run.info.run_id, "KILLED")
            known.repaired += 1
        elif tags.get(PLAN) == plan:
            known.running.append(tags.get(HOST, "another machine"))
    for run in store.runs(experiment, f"tags.`{PLAN}` = '{plan}'"):
        if run.info.status != "RUNNING":
            _sort_in(run, known)
    for fits in known.halves.keys() & known.trials.keys():
        for run_id in known.halves.pop(fits):
            store.client.delete_run(run_id)
    return known


def _sort_in(run: Run, known: Known) -> None:
    tags, run_id = run.data.tags, run.info.run_id
    if tags.get("role") == "summary":
        outcome = tags.get(OUTCOME, "") if "status" in tags else ""
        known.summary = known.summary or Kept(run_id, outcome, "", *_files(run))
    elif FITS not in tags:
        return
    elif run.info.status in _WHOLE:
        pictures = tags.get(PICTURES, "")
        known.trials[tags[FITS]] = Kept(
            run_id, tags.get(OUTCOME, ""), pictures, *_files(run), tags.get(VERDICT, "")
        )
    else:
        known.halves.setdefault(tags[FITS], []).append(run_id)


def _files(run: Run) -> tuple[int, str]:
    count = run.data.tags.get(FILES, "")
    return int(count) if count.isdigit() else 0, str(run.info.artifact_uri)


def _is_dead(tags: Mapping[str, str]) -> bool:
    """Say whether a run's process is gone. Nobody can know that of another machine."""
    pid = tags.get(PID, "")
    if tags.get(HOST) != socket.gethostname() or not pid.isdigit():
        return False
    # One process runs a study at a time, so our number is that of an earlier run.
    return int(pid) == os.getpid() or process_is_gone(int(pid))
