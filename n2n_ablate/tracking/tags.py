"""The tags of a run: whose it is, how it came about, and which colour it has in the charts."""

from __future__ import annotations

import getpass
import html
import os
import re
import socket
import time
from dataclasses import dataclass

from n2n_ablate.records import Invocation, Plan, StudyTrials
from n2n_ablate.tracking import record
from n2n_ablate.tracking.address import NOTE, ORDER, PLAN

TRIAL, FITS, OUTCOME = "n2n.trial", "n2n.fits", "n2n.outcome"
"""Tags by which a run is known again: the trial, its fits, and what they gave."""
PICTURES = "n2n.pictures"
"""The tag of a run whose pictures are not complete, because images were not there: `3 of 8`."""
VERDICT = "n2n.verdict"
"""The tag that holds a hash of what a run says of its contrast, see `record.verdict_key`."""
FILES = "n2n.files"
"""The tag that says how many files a run has."""
HOST, PID = "n2n.host", "n2n.pid"
"""Tags that say which process writes a run."""

# MLflow's colours come from the runs' numbers, and two of ten are often alike.
_FIXED = {"baseline": "#1b1b1b", "summary": "#c8c8c8"}
_COLOURS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#17becf", "#e377c2", "#8c564b"),
    *("#bcbd22", "#0b5394", "#45818e", "#a64d79", "#38761d", "#e0a030", "#674ea7", "#990000"),
)


@dataclass(frozen=True)
class Kept:
    """A run that is there."""

    run: str  # its id
    outcome: str  # see `record.outcome_key`; empty for a summary that was never written whole
    pictures: str = ""  # see `PICTURES`; empty if nothing is missing
    files: int = 0  # see `FILES`
    location: str = ""  # address of the folder of its files
    verdict: str = ""  # see `VERDICT`


def now() -> int:
    """Return the time in milliseconds since 1970, as MLflow counts it."""
    return int(1000 * time.time())


def headline(question: str) -> str:
    """Return the question of a study as Markdown, none of it taken for markup."""
    plain = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", html.escape(question, quote=False))
    return " ".join(plain.split())


def run_tags(plan: Plan, about: Invocation, role: str, *, number: int) -> dict[str, str]:
    """Return the tags that every run of a study has.

    `about`: the command that the run's results come from; `role`: of the trial, or `summary`.
    """
    tags = {
        "study": plan.study.name,
        "profile": plan.profile.name,
        "role": role,
        "invocation": about.id,
        "device": about.device,
        "precision": about.precision,
        PLAN: plan.key,
        ORDER: record.order(plan),
        HOST: socket.gethostname(),
        PID: str(os.getpid()),
        "mlflow.source.name": about.command,
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "mlflow.runColor": _FIXED.get(role, _COLOURS[number % len(_COLOURS)]),
    }
    if about.commit:
        tags["mlflow.source.git.commit"] = about.commit
    return tags | {f"version.{key}": value for key, value in about.versions.items()}


def summary_tags(result: StudyTrials, status: str, note: str, measured: bool) -> dict[str, str]:
    """Return the tags that a summary has when all of its files are there.

    `measured`: whether samplers were measured for it.
    """
    return {
        "trials": str(len(result.trials)),
        "fits": str(sum(len(trial_result.rows) for trial_result in result.trials)),
        "failures": str(result.failures),
        "best": "; ".join(record.best(result)),
        NOTE: note,
        OUTCOME: record.summary_key(result, status) + ("-measured" if measured else ""),
        "status": status,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "unknown"
