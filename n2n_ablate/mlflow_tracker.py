"""Shows studies in MLflow: one flat run per trial, one summary per run of the command."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from n2n_ablate import answer, record, trial_files
from n2n_ablate.bench import Subject
from n2n_ablate.chart_view import chart_view
from n2n_ablate.errors import AblateError
from n2n_ablate.mlflow_store import NOTE, VIEW_TAG, MlflowStore, tracking_uri
from n2n_ablate.output import Output
from n2n_ablate.part import Part
from n2n_ablate.registry import Registry
from n2n_ablate.results import StudyResult, TrialResult
from n2n_ablate.study import BASELINE, Plan
from n2n_ablate.trackers import Invocation

# MLflow's own colours come from the runs' numbers, and two of ten are often alike.
_INK, _FAINT = "#1b1b1b", "#c8c8c8"
_COLOURS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#17becf", "#e377c2", "#8c564b"),
    *("#bcbd22", "#0b5394", "#45818e", "#a64d79", "#38761d", "#e0a030", "#674ea7", "#990000"),
)
_ENDS = {"finished": "FINISHED", "interrupted": "KILLED"}


class MlflowTracker:
    """Keeps trials as runs of the study's experiment. See `Tracker`.

    Trials that are there already are left alone, so a study can be repeated as often as one likes.

    Args:
        output: The output folder, home of the store unless another is named.
        uri: An MLflow tracking URI; by default `MLFLOW_TRACKING_URI`, else the output folder's.
        registry: To draw samplers; without it runs have no picture of the sampler.

    Raises:
        StoreError: MLflow is not installed.
    """

    def __init__(
        self, output: Output, uri: str | None = None, registry: Registry | None = None
    ) -> None:
        self.store = MlflowStore(output, tracking_uri(output.root, uri))
        self._registry = registry
        self._baseline: TrialResult | None = None
        self._early: list[tuple[TrialResult, Sequence[Subject]]] = []
        self._known: dict[str, tuple[str, str]] = {}
        self._last_start = 0

    def start(self, plan: Plan, invocation: Invocation) -> None:
        """Open the store, look which trials it has, end what dead processes left running.

        Raises:
            StoreError: The store cannot be opened.
        """
        self._plan, self._invocation = plan, invocation
        self._experiment = self.store.experiment(plan.study.name, f"**{plan.study.question}**")
        for run in self.store.runs(self._experiment, f"tags.`n2n.plan` = '{plan.key}'"):
            tags = run.data.tags
            if run.info.status == "RUNNING" and _is_dead(tags):
                self.store.end(run.info.run_id, "KILLED")
            elif run.info.status in ("FINISHED", "FAILED") and "n2n.fits" in tags:
                self._known[tags["n2n.fits"]] = (run.info.run_id, tags.get("n2n.outcome", ""))
        self._summary = self._create("summary", "summary", _now(), {})
        self._arrange(())

    def trial(self, result: TrialResult, subjects: Sequence[Subject]) -> None:
        """Keep a trial as a run, unless it is there. Trials before the baseline wait for it."""
        if self._baseline is None and result.trial.role != BASELINE:
            self._early.append((result, subjects))
            return
        if result.trial.role == BASELINE:
            self._baseline = result
            self._arrange(tuple(dict.fromkeys(row.image for row in result.rows)))
        self._keep(result, subjects)
        self._keep_early()

    def finish(self, result: StudyResult, status: str) -> None:
        """Write the tables and end the run of this invocation."""
        self._keep_early()
        note = trial_files.summary(result)
        tags = {
            "status": status,
            "trials": str(len(result.trials)),
            "fits": str(sum(len(item.rows) for item in result.trials)),
            "failures": str(sum(item.failures for item in result.trials)),
            "best": "; ".join(_best(result)),
            NOTE: note,
        }
        self.store.log(self._summary, tags=tags)
        with tempfile.TemporaryDirectory() as folder:
            trial_files.write_study(Path(folder), result)
            self.store.client.log_artifacts(self._summary, folder)
        self.store.client.set_experiment_tag(self._experiment, NOTE, note[:5000])
        self.store.end(self._summary, _ENDS.get(status, "FAILED"))

    def experiment_id(self, study: str) -> str | None:
        """Return the id of a study's experiment, None if there is none.

        Raises:
            StoreError: The store cannot be opened.
        """
        return self.store.experiment_id(study)

    def _arrange(self, images: Sequence[str]) -> None:
        tag = chart_view(self._plan, images)
        self.store.client.set_experiment_tag(self._experiment, VIEW_TAG, tag)

    def _keep_early(self) -> None:
        waiting, self._early = self._early, []
        for result, subjects in waiting:
            self._keep(result, subjects)

    def _keep(self, result: TrialResult, subjects: Sequence[Subject]) -> None:
        trial = record.content_key(self._plan, result.trial)
        fits, outcome = f"{trial}-{record.fits_key(result)}", record.outcome_key(result)
        old, old_outcome = self._known.get(fits, ("", ""))
        if old_outcome == outcome:
            return
        tags = {"n2n.trial": trial, "n2n.fits": fits, "n2n.outcome": outcome}
        run = self._write(result, subjects, tags)
        if old:  # the same fits were run again and gave something else
            self.store.client.delete_run(old)
        self._known[fits] = (run, outcome)

    def _write(
        self, result: TrialResult, subjects: Sequence[Subject], tags: Mapping[str, str]
    ) -> str:
        end = _now()
        # Training time as duration; but MLflow sorts by start, so never before an earlier trial.
        start = max(self._last_start + 1, end - int(1000 * result.seconds))
        self._last_start, end = start, max(start, end)
        trial = result.trial
        run = self._create(trial.name, trial.role, start, tags)
        try:
            images = dict.fromkeys(row.image for row in result.rows)
            self.store.log(
                run,
                params=record.parameters(self._plan, trial, images),
                values=record.values(self._plan, result, self._baseline),
                span=(start, end),
            )
            self._write_files(run, result, subjects)
            failed = result.failures == len(result.rows)
            self.store.end(run, "FAILED" if failed else "FINISHED", end)
        except BaseException:
            with contextlib.suppress(Exception):
                self.store.end(run, "KILLED")  # so that it is written again next time
            raise
        return run

    def _write_files(self, run: str, result: TrialResult, subjects: Sequence[Subject]) -> None:
        baseline = None if result.trial.role == BASELINE else self._baseline
        with tempfile.TemporaryDirectory() as folder:
            trial_files.write_trial(
                Path(folder),
                self._plan,
                result,
                subjects,
                baseline=baseline,
                sampler=self._made("sampler", result.trial.recipe.parts["sampler"]),
                noise=self._made("noise", self._plan.conditions[0].noise),
            )
            self.store.client.log_artifacts(run, folder)

    def _made(self, kind: str, part: Part) -> Any:
        if self._registry is None:
            return None
        try:
            return self._registry.build(kind, part.name, part.parameters)
        except AblateError:  # its plugin may be gone; its results are not
            return None

    def _colour(self, role: str) -> str:
        if role in (BASELINE, "summary"):
            return _INK if role == BASELINE else _FAINT
        return _COLOURS[len(self._known) % len(_COLOURS)]

    def _create(self, name: str, role: str, start: int, tags: Mapping[str, str]) -> str:
        about, plan = self._invocation, self._plan
        own = {
            "study": plan.study.name,
            "profile": plan.profile.name,
            "role": role,
            "invocation": about.id,
            "device": about.device,
            "precision": about.precision,
            "n2n.plan": plan.key,
            "n2n.host": socket.gethostname(),
            "n2n.pid": str(os.getpid()),
            "mlflow.source.name": about.command,
            "mlflow.source.type": "LOCAL",
            "mlflow.user": _user(),
            "mlflow.runColor": self._colour(role),
        }
        if about.commit:
            own["mlflow.source.git.commit"] = about.commit
        own |= {f"version.{key}": value for key, value in about.versions.items()}
        return self.store.create(self._experiment, name, start, {**own, **tags})


def _best(result: StudyResult) -> list[str]:
    lines = [answer.best(result, condition.label) for condition in result.plan.conditions]
    return list(dict.fromkeys(line.name for line in lines if line is not None))


def _now() -> int:
    return int(1000 * time.time())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "unknown"


def _is_dead(tags: Mapping[str, str]) -> bool:
    """Say whether a run's process is gone. Nobody can know that of another machine."""
    pid = tags.get("n2n.pid", "")
    here = tags.get("n2n.host") == socket.gethostname() and os.name == "posix"
    if not here or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return True  # one process runs a study at a time, so it is an earlier run of ours
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it exists, but belongs to somebody else
        return False
    return False
