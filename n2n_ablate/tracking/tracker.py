"""Shows studies in MLflow: one flat run per trial, one summary per run of the command."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from n2n_ablate.analysis.analyse import contrasts, rule_of
from n2n_ablate.analysis.rows import secondary
from n2n_ablate.errors import StoreUnavailableError
from n2n_ablate.records import Header, Invocation, NoisySample, StudyResult, TrialResult
from n2n_ablate.redaction import redact_command
from n2n_ablate.registry import Registry
from n2n_ablate.registry.hookspecs import hookimpl
from n2n_ablate.report import study_files
from n2n_ablate.storage.journal import Command
from n2n_ablate.storage.output import Output
from n2n_ablate.storage.runs import EndedRuns
from n2n_ablate.study import BASELINE, Plan
from n2n_ablate.tracking import record
from n2n_ablate.tracking.address import tracking_uri
from n2n_ablate.tracking.known import FITS, OUTCOME, PICTURES, TRIAL, VERDICT, Kept, Known, look
from n2n_ablate.tracking.run_files import RunFiles
from n2n_ablate.tracking.store import NOTE, MlflowStore
from n2n_ablate.tracking.system import Monitor, monitor
from n2n_ablate.tracking.tags import now, run_tags, summary_tags

_ENDS = {"finished": "FINISHED", "interrupted": "KILLED", "killed": "KILLED"}


@dataclass(frozen=True, eq=False)
class _Given:
    """A trial to be kept: of which command, and when it was finished, in milliseconds."""

    result: TrialResult
    samples: Sequence[NoisySample]
    invocation: Invocation
    end: int


class MlflowTracker:
    """Keeps trials as runs of the study's experiment, by life-cycle hooks like any plugin's.

    Trials that are there already are left alone, so a study can be repeated as often as one likes.

    Args:
        output: The output folder, home of the store unless another is named.
        uri: An MLflow tracking URI; by default `MLFLOW_TRACKING_URI`, else the output folder's.
        registry: To draw and to measure samplers.
        note, waits: Told what is missing in the runs; if another process is opening the store.
        thorough: Ask servers too whether they have the files of every run.

    Attributes:
        known: What the store has; see `open`.
        written: Names of the runs that were written or completed.
        orphans: How many folders of files were removed because their runs are gone.

    Raises:
        StoreError: MLflow is not installed.
    """

    def __init__(
        self,
        output: Output,
        uri: str | None = None,
        registry: Registry | None = None,
        note: Callable[[str], None] = lambda _: None,
        waits: Callable[[str], None] = lambda _: None,
        *,
        thorough: bool = False,
    ) -> None:
        self.store = MlflowStore(output, tracking_uri(output.root, uri), waits)
        self._output, self._asked, self._thorough = output, bool(uri), thorough
        self.known = Known()
        self.written: list[str] = []
        self.orphans = 0
        self._files = RunFiles(self.store, registry)
        self._baseline: TrialResult | None = None
        self._summary = ""
        self._note = note
        self._monitor: Monitor | None = None
        self._unsure = False  # whether the store heard all that was sent
        self._last_start = self._number = 0

    @hookimpl(specname="study_started")
    def start(self, plan: Plan, invocation: Invocation) -> None:
        """Open the store, look which trials it has, end what dead processes left running.

        Raises:
            StoreUnavailableError: As `trial`.
        """
        self.open(plan, invocation)
        with self._surely():
            self._summary = self._begin_summary(invocation, now())
            if self._monitor is None:
                self._monitor = monitor(self.store.uri, self._summary, self._note)

    def open(self, plan: Plan, invocation: Invocation) -> None:
        """Open the store without beginning a summary: for what was not tracked when it happened.

        Whoever calls this holds the lock of the study, so earlier commands are over.

        Args:
            plan: The study's plan.
            invocation: Whose trials follow, unless they say otherwise.

        Raises:
            StoreError: The store cannot be opened.
        """
        self._plan, self._running, self._invocation = plan, plan, invocation
        with self.store.explained():
            self._experiment = self.store.experiment(plan.study.name, study_files.headline(plan))
            self._over = EndedRuns(self._output, plan.study.name, invocation.id)
            self.known = look(self.store, self._experiment, plan.key, self._over)
            self.orphans = self.store.remove_orphans(self._experiment)

    @hookimpl(specname="trial_finished")
    def trial(
        self,
        result: TrialResult,
        samples: Sequence[NoisySample],
        *,
        invocation: Invocation | None = None,
        at: float | None = None,
    ) -> None:
        """Keep a trial as a run, unless it is there. The baseline comes before all others.

        Args:
            result: With its denoised images, or a store that has them.
            samples: The noisy images of its fits. Where one is missing its pictures say so.
            invocation: Which command finished it; by default the one that was opened.
            at: When it was finished, in seconds since 1970; by default now.

        Raises:
            StoreUnavailableError: The store does not answer; this may be called again.
            StoreError: The store will not take it.
        """
        end = now() if at is None else int(1000 * at)
        given = _Given(result, samples, invocation or self._invocation, end)
        with self._surely():
            if result.trial.role == BASELINE:
                self._baseline = result
            self._keep(given)

    @hookimpl(specname="confirmation_started")
    def confirm(self, plan: Plan) -> None:
        """Keep the trials that follow as runs of the confirmation: their role is `confirm`."""
        self._running, self._baseline = plan, None

    @hookimpl(specname="study_finished")
    def finish(self, result: StudyResult, status: str) -> None:
        """Write the tables and end the run of this invocation.

        Raises:
            StoreUnavailableError: As `trial`.
        """
        with self._surely():
            if self._monitor is not None:
                self._monitor.finish()
                self._monitor = None
            self._fill(self._summary, result, status, now())
            self._put_in_front(result)

    def summary(self, command: Command, result: StudyResult, *, complete: bool = True) -> None:
        """Keep the summary of the plan, as the last command that is over showed it.

        Args:
            command: It may have been killed, and then has no status.
            result: What it showed.
            complete: Every stored fit could be read: otherwise verdicts that are there are better.
        """
        status = command.status or "killed"
        old = self.known.summary
        key = record.summary_key(result, status)
        whole = {f"{key}-measured"} if self._files.diagnoses else {f"{key}-measured", key}
        if not old or old.outcome not in whole or self._lacks_files(old):
            start, about = int(1000 * command.started), command.invocation
            run = self._begin_summary(about, start)
            self._fill(run, result, status, max(start, int(1000 * command.ended)))
            self.written.append("summary")
        self._put_in_front(result, complete=complete)

    def _begin_summary(self, invocation: Invocation, start: int) -> str:
        """Return the run of the plan's summary, marked as being written by this process."""
        tags = run_tags(self._plan, invocation, "summary", number=0)
        if self.known.summary is None:
            return self.store.create(self._experiment, "summary", start, tags)
        run = self.known.summary.run
        self.store.client.update_run(run, status="RUNNING")
        self.store.log(run, tags=tags)
        return run

    def knows(self, result: TrialResult) -> bool:
        """Say whether there is a whole run of these fits, whatever they gave."""
        return record.fits_key(self._plan, result) in self.known.trials

    def lacks_files(self, result: TrialResult) -> bool:
        """Say whether there is a run of these fits without all of its files."""
        old = self.known.trials.get(record.fits_key(self._plan, result))
        return old is not None and self._lacks_files(old)

    def _lacks_files(self, kept: Kept) -> bool:
        return self.store.lacks_files(kept, ask=self._thorough)

    def later(self) -> str:
        """See `background.Outside`."""
        output = self._output.root
        words = ["n2n-ablate", "sync", self._plan.study.name]
        words += ["--output", str(output)] * (output != Path("mlruns").resolve())
        words += ["--tracking-uri", self.store.uri] * self._asked
        return f"the same command, or {redact_command(words)}, writes the rest"

    def unanswered(self) -> float:
        """See `background.Outside`."""
        return self.store.unanswered()

    @contextlib.contextmanager
    def _surely(self) -> Iterator[None]:
        """Say why the store fails; the next time, look first what it did take.

        An answer that did not arrive leaves open whether the request did.
        """
        try:
            with self.store.explained():
                if self._unsure:
                    about = self.store, self._experiment, self._plan.key, self._over
                    self.known, self._unsure = look(*about, writing=self._summary), False
                yield
        except StoreUnavailableError:
            self._unsure = True
            raise
        except BaseException:
            if self._summary:  # nobody will call again
                with contextlib.suppress(Exception):
                    self.store.end(self._summary, "KILLED")
            raise

    def _put_in_front(self, result: StudyResult, *, complete: bool = True) -> None:
        note = study_files.summary(result, self._files.diagnoses)[:5000]
        self.store.client.set_experiment_tag(self._experiment, NOTE, note)
        for stage in (result, result.confirmed):
            if stage is not None and stage.header is not None:
                self._put_verdicts(stage, stage.header, complete=complete)

    def _put_verdicts(self, stage: StudyResult, header: Header, *, complete: bool) -> None:
        """Tell every run of a declared contrast its verdict, now that all of the family is known."""
        rule, ends = rule_of(stage, header), record.suffixes(stage.plan)
        trials = {item.trial.name: item for item in stage.trials}
        found: dict[str, tuple[dict[str, str], list[record.Value]]] = {}
        for label, suffix in ends.items():
            for contrast in contrasts(stage, label, rule):
                if contrast.contrast.name in trials:
                    tags, values = found.setdefault(contrast.contrast.name, ({}, []))
                    more = record.verdict(contrast, suffix)
                    tags.update(more[0])
                    values.extend(more[1])
                    if stage.baseline is not None:
                        item = trials[contrast.contrast.name]
                        beside = secondary(item, stage.baseline, stage, label, rule)
                        values.extend(record.secondary(beside, suffix))
        for name, (tags, values) in found.items():
            fits, key = record.fits_key(self._plan, trials[name]), record.verdict_key(tags, values)
            kept = self.known.trials.get(fits)
            if kept is not None and kept.verdict != key and (complete or not kept.verdict):
                own = {**tags, VERDICT: key}
                self.store.log(kept.run, values=values, tags=own, span=(now(), now()))
                self.known.trials[fits] = replace(kept, verdict=key)

    def _fill(self, run: str, result: StudyResult, status: str, end: int) -> None:
        diagnoses = self._files.diagnoses
        tags = summary_tags(result, status, study_files.summary(result, diagnoses), bool(diagnoses))
        self._files.keep_study(run, result)
        self.store.log(run, tags=tags)
        self.store.end(run, _ENDS.get(status, "FAILED"), end)

    def _keep(self, given: _Given) -> None:
        result = given.result
        self._number += 1
        fits, outcome = record.fits_key(self._plan, result), record.outcome_key(result)
        pictures = record.pictures(given.result, given.samples)
        old = self.known.trials.get(fits)
        if not old or old.outcome != outcome or result.trial.role != "search":
            self._files.measure(self._name(result), result, given.samples)
        if old and old.outcome == outcome:
            # Images have been found since, or files have been lost.
            if (old.pictures and old.pictures != pictures) or self._lacks_files(old):
                self._write_files(old.run, given)
                measured = self._diagnosed(result)
                self.store.log(old.run, values=measured, tags={PICTURES: pictures})
                self._log_dataset(old.run, given)
                self.written.append(self._name(result))
            return
        tags = {TRIAL: self._plan.trial_key(result.trial), FITS: fits, OUTCOME: outcome}
        run = self._write(given, tags | ({PICTURES: pictures} if pictures else {}))
        # Runs of the same fits: they gave something else, or were never written whole.
        for worse in [*self.known.halves.pop(fits, []), *([old.run] if old else [])]:
            self.store.client.delete_run(worse)
        self.known.trials[fits] = Kept(run, outcome, pictures)
        self.written.append(self._name(result))

    def _write(self, given: _Given, tags: Mapping[str, str]) -> str:
        result, end = given.result, given.end
        # Training time as duration; but MLflow sorts by start, so never before an earlier trial.
        start = max(self._last_start + 1, end - int(1000 * result.seconds))
        self._last_start, end = start, max(start, end)
        role = "confirm" if self._running.confirming else result.trial.role
        run = self._create(self._name(result), role, start, tags, given.invocation)
        try:
            with self.store.explained():
                self._fill_trial(run, given, (start, end))
        except BaseException as error:
            if not isinstance(error, StoreUnavailableError):  # it would not hear of the end either
                with contextlib.suppress(Exception):
                    self.store.end(run, "KILLED")  # so that it is written again next time
            raise
        return run

    def _fill_trial(self, run: str, given: _Given, span: tuple[int, int]) -> None:
        result = given.result
        images = dict.fromkeys(row.image for row in result.rows)
        self.store.log(
            run,
            params=record.parameters(self._running, result.trial, images),
            values=[*record.values(self._plan, result, self._baseline), *self._diagnosed(result)],
            span=span,
        )
        self._log_dataset(run, given)
        self._write_files(run, given)
        failed = result.failures == len(result.rows)
        self.store.end(run, "FAILED" if failed else "FINISHED", span[1])

    def _log_dataset(self, run: str, given: _Given) -> None:
        plan = self._running
        measured = [each.pairs.source for each in plan.conditions if each.pairs]
        if found := record.dataset([*plan.profile.images, *measured], given.samples):
            self.store.log_dataset(run, found)

    def _write_files(self, run: str, given: _Given) -> None:
        result, name = given.result, self._name(given.result)
        self._files.keep_trial(run, name, self._running, result, given.samples)

    def _diagnosed(self, result: TrialResult) -> list[record.Value]:
        diagnoses = self._files.diagnoses.get(self._name(result), {})
        return list(record.diagnostics(self._plan, diagnoses))

    def _name(self, result: TrialResult) -> str:
        return f"{result.trial.name} (confirm)" if self._running.confirming else result.trial.name

    def _create(
        self, name: str, role: str, start: int, tags: Mapping[str, str], about: Invocation
    ) -> str:
        tags_of_run = run_tags(self._plan, about, role, number=self._number)
        return self.store.create(self._experiment, name, start, {**tags, **tags_of_run})
