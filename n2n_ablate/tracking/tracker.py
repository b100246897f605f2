"""Shows studies in MLflow: one flat run per trial, one summary per plan.

It hears of a study by the hooks that every plugin has, and reads nothing but their records. `sync`
replays stored studies through the same hooks, so the two cannot differ.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from n2n_ablate.errors import StoreUnavailableError
from n2n_ablate.records import (
    Invocation,
    NoisySample,
    Plan,
    StudyFiles,
    StudyTrials,
    TrialFiles,
    TrialResult,
)
from n2n_ablate.redaction import redact_command
from n2n_ablate.registry.hookspecs import hookimpl
from n2n_ablate.tracking import record
from n2n_ablate.tracking.address import NOTE, tracking_uri
from n2n_ablate.tracking.client import Monitor, explained, monitor
from n2n_ablate.tracking.known import Known, look
from n2n_ablate.tracking.store import MlflowStore
from n2n_ablate.tracking.tags import (
    FITS,
    OUTCOME,
    PICTURES,
    TRIAL,
    VERDICT,
    Kept,
    headline,
    now,
    run_tags,
    summary_tags,
)

_ENDS = {"finished": "FINISHED", "interrupted": "KILLED", "killed": "KILLED"}


@dataclass(frozen=True, eq=False)
class _Given:
    """A finished trial, as the hook has it; `end` in milliseconds."""

    result: TrialResult
    so_far: StudyTrials
    samples: Sequence[NoisySample]
    files: TrialFiles
    end: int

    @property
    def name(self) -> str:
        """Of its run."""
        name = self.result.trial.name
        return f"{name} (confirm)" if self.so_far.plan.confirming else name


class MlflowTracker:
    """Keeps trials as runs of the study's experiment, by life-cycle hooks like any plugin's.

    Trials that are there already are left alone, so a study can be repeated as often as one likes.

    Args:
        root: The output folder, home of the store unless another is named.
        uri: An MLflow tracking URI; by default `MLFLOW_TRACKING_URI`, else the output folder's.
        thorough: Ask servers too whether they have the files of every run.

    Attributes:
        known: What the store has.
        written: Names of the runs that were written or completed.
        orphans: How many folders of files were removed because their runs are gone.
        problems: One sentence for each thing that is missing and cannot be made again.

    Raises:
        StoreError: MLflow is not installed.
    """

    background = True  # training never waits for it

    def __init__(self, root: Path, uri: str = "", *, thorough: bool = False) -> None:
        self._say: Callable[[str], None] = lambda _: None
        self._root = root.resolve()
        self.store = MlflowStore(self._root, tracking_uri(root, uri), lambda line: self._say(line))
        self.unanswered = self.store.unanswered  # see `background.Outside`
        self._asked, self._thorough = bool(uri), thorough
        self.known = Known()
        self.written: list[str] = []
        self.problems: list[str] = []
        self._gone: list[str] = []
        self.orphans = 0
        self._summary = self._writing = ""  # runs that are being written
        self._monitor: Monitor | None = None
        self._unsure = False  # whether the store heard all that was sent
        self._measured = False  # whether a sampler was
        self._last_start = self._number = 0
        self._span = (0, 0)  # of the trials, in milliseconds

    @hookimpl
    def study_started(
        self,
        plan: Plan,
        invocation: Invocation,
        ended: Container[str],
        replayed: bool,
        say: Callable[[str], None],
    ) -> None:
        """Open the store, look which trials it has, end what dead processes left running.

        The summary of a study that is replayed is written at the end, if it differs.

        Raises:
            StoreUnavailableError: The store does not answer; this may be called again.
            StoreError: The store cannot be opened.
        """
        self._plan, self._invocation, self._over, self._say = plan, invocation, ended, say
        with explained(self.store.uri):
            question = headline(plan.study.question)
            self._experiment = self.store.experiment(plan.study.name, question)
            self.known = look(self.store, self._experiment, plan.key, ended)
            self.orphans = self.store.remove_orphans(self._experiment)
        if replayed:
            if machines := ", ".join(sorted(set(self.known.running))):
                count = len(self.known.running)
                self.problems.append(
                    f"{count} runs are marked as running on {machines}: they are left alone"
                )
            return
        with self._surely():
            self._summary = self._begin_summary(now())
            self._monitor = self._monitor or monitor(self.store.uri, self._summary, say)

    @hookimpl
    def trial_finished(
        self,
        result: TrialResult,
        so_far: StudyTrials,
        samples: Sequence[NoisySample],
        files: TrialFiles,
    ) -> None:
        """Keep a trial as a run, unless it is there.

        Raises:
            StoreUnavailableError: The store does not answer; this may be called again.
            StoreError: The store will not take it.
        """
        end = int(1000 * result.finished) or now()
        begun = end - int(1000 * result.seconds)
        self._span = (min(self._span[0] or begun, begun), max(self._span[1], end))
        with self._surely():
            self._keep(_Given(result, so_far, samples, files, end))

    @hookimpl
    def study_finished(self, result: StudyTrials, status: str, files: StudyFiles) -> None:
        """Write the tables and end the run of this invocation.

        Raises:
            StoreUnavailableError: As `trial_finished`.
        """
        with self._surely():
            if self._monitor is not None:
                self._monitor.finish()
                self._monitor = None
            if self._summary:
                self._fill(self._summary, result, status, files, now())
            elif self._differs(result, status):
                start, end = self._span
                self._fill(self._begin_summary(start), result, status, files, end)
                self.written.append("summary")
            # The list of experiments shows it as it is, so without the mark of a heading.
            note = files.markdown()[:5000].removeprefix("# ")
            self.store.client.set_experiment_tag(self._experiment, NOTE, note)
            for stage in filter(None, (result, result.confirmed)):
                self._put_verdicts(stage)
        if self._gone:
            names = ", ".join(self._gone)
            self.problems.append(f"files of runs that are gone like their fits: {names}")

    def _differs(self, result: StudyTrials, status: str) -> bool:
        old, key = self.known.summary, record.summary_key(result, status)
        whole = {f"{key}-measured"} if self._measured else {f"{key}-measured", key}
        return old is None or old.outcome not in whole or self._lacks_files(old)

    def _begin_summary(self, start: int) -> str:
        """Return the run of the plan's summary, marked as being written by this process."""
        tags = run_tags(self._plan, self._invocation, "summary", number=0)
        if self.known.summary is None:
            return self.store.create(self._experiment, "summary", start, tags)
        run = self.known.summary.run
        self.store.client.update_run(run, status="RUNNING")
        self.store.log(run, tags=tags)
        return run

    def _lacks_files(self, kept: Kept) -> bool:
        return self.store.lacks_files(kept, ask=self._thorough)

    def later(self) -> str:
        """See `background.Outside`."""
        words = ["n2n-ablate", "sync", self._plan.study.name]
        words += ["--output", str(self._root)] * (self._root != Path("mlruns").resolve())
        words += ["--tracking-uri", self.store.uri] * self._asked
        return f"the same command, or {redact_command(words)}, writes the rest"

    @contextlib.contextmanager
    def _surely(self) -> Iterator[None]:
        """Say why the store fails; the next time, look first what it did take.

        An answer that did not arrive leaves open whether the request did.
        """
        try:
            with explained(self.store.uri):
                if self._unsure:
                    about = self.store, self._experiment, self._plan.key, self._over
                    self.known, self._unsure = look(*about, writing=self._summary), False
                yield
        except StoreUnavailableError:
            self._unsure = True
            raise
        except BaseException:
            # Nobody will call again; a trial that is half written is written anew next time.
            for run in filter(None, (self._writing, self._summary)):
                with contextlib.suppress(Exception):
                    self.store.client.set_terminated(run, "KILLED")
            raise

    def _put_verdicts(self, stage: StudyTrials) -> None:
        """Tell every run of a declared contrast its verdict, now that all of the family is known."""
        # Where fits are lost, verdicts that are there are better.
        complete = not any(one.lost for one in stage.trials)
        trials = {one.trial.name: one for one in stage.trials}
        for name, (tags, values) in record.verdicts(stage).items():
            fits, key = record.fits_key(self._plan, trials[name]), record.verdict_key(tags, values)
            kept = self.known.trials.get(fits)
            if kept is not None and kept.verdict != key and (complete or not kept.verdict):
                tags |= {VERDICT: key}
                self.store.log(kept.run, values=values, tags=tags, span=(now(), now()))
                self.known.trials[fits] = replace(kept, verdict=key)

    def _fill(
        self, run: str, result: StudyTrials, status: str, files: StudyFiles, end: int
    ) -> None:
        tags = summary_tags(result, status, files.markdown(), self._measured)
        self._write_files(run, files)
        self.store.log(run, tags=tags)
        self.store.client.set_terminated(run, _ENDS.get(status, "FAILED"), end)

    def _keep(self, given: _Given) -> None:
        result = given.result
        self._number += 1
        fits, outcome = record.fits_key(self._plan, result), record.outcome_key(result)
        pictures = record.pictures(result, given.samples)
        old = self.known.trials.get(fits)
        if old and result.lost:  # it was written when its fits were still there
            if self._lacks_files(old):
                self._gone.append(given.name)
            return
        if not old or old.outcome != outcome or result.trial.role != "search":
            self._diagnosed(given)  # for the summary
        if old and old.outcome == outcome:
            # Images have been found since, or files have been lost.
            if (old.pictures and old.pictures != pictures) or self._lacks_files(old):
                self._write_files(old.run, given.files)
                self.store.log(old.run, values=self._diagnosed(given), tags={PICTURES: pictures})
                self._log_dataset(old.run, given)
                self.written.append(given.name)
            return
        tags = {TRIAL: self._plan.trial_key(result.trial), FITS: fits, OUTCOME: outcome}
        run = self._write(given, tags | ({PICTURES: pictures} if pictures else {}))
        # Runs of the same fits: they gave something else, or were never written whole.
        for worse in [*self.known.halves.pop(fits, []), *([old.run] if old else [])]:
            self.store.client.delete_run(worse)
        self.known.trials[fits] = Kept(run, outcome, pictures)
        self.written.append(given.name)

    def _write(self, given: _Given, tags: Mapping[str, str]) -> str:
        result, plan = given.result, given.so_far.plan
        # Training time as duration; but MLflow sorts by start, so never before an earlier trial.
        start = max(self._last_start + 1, given.end - int(1000 * result.seconds))
        self._last_start, end = start, max(start, given.end)
        role = "confirm" if plan.confirming else result.trial.role
        about = result.invocation or self._invocation
        whose = run_tags(self._plan, about, role, number=self._number)
        run = self.store.create(self._experiment, given.name, start, {**tags, **whose})
        self._writing = run
        images = dict.fromkeys(row.image for row in result.rows)
        values = record.values(self._plan, result, given.so_far.baseline)
        self.store.log(
            run,
            params=record.parameters(plan, result.trial, images),
            values=[*values, *self._diagnosed(given)],
            span=(start, end),
        )
        self._log_dataset(run, given)
        self._write_files(run, given.files)
        failed = result.failures == len(result.rows)
        self.store.client.set_terminated(run, "FAILED" if failed else "FINISHED", end)
        self._writing = ""
        return run

    def _log_dataset(self, run: str, given: _Given) -> None:
        plan = given.so_far.plan
        measured = [each.pairs.source for each in plan.conditions if each.pairs]
        if used := record.dataset([*plan.profile.images, *measured], given.samples):
            self.store.log_dataset(run, used)

    def _write_files(self, run: str, files: TrialFiles | StudyFiles) -> None:
        with tempfile.TemporaryDirectory() as folder:
            files.write(Path(folder))
            self.store.keep_files(run, Path(folder))

    def _diagnosed(self, given: _Given) -> list[record.Value]:
        measured = given.files.diagnostics()
        self._measured = self._measured or bool(measured)
        return record.diagnostics(self._plan, measured)
