"""Runs a study: trials into fits, fits into results. Holds the lock, the stores and the order."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from n2n_ablate.bench import Bench
from n2n_ablate.errors import AblateError, StoreError
from n2n_ablate.execute import Executor, Local
from n2n_ablate.fit import Fit, FitResult
from n2n_ablate.header import header_of
from n2n_ablate.invocation import Invocation
from n2n_ablate.journal_writer import Journal
from n2n_ablate.lifecycle import Audience
from n2n_ablate.output import Output
from n2n_ablate.registry import Registry
from n2n_ablate.results import Row, StudyResult, TrialResult
from n2n_ablate.store import FitStore
from n2n_ablate.study import Plan, Trial

if TYPE_CHECKING:
    from n2n_ablate.search import Asked, Search

_TRIES = 20  # places a search may name in vain before it is believed to have no other


@dataclass
class Runner:
    """One run of a study.

    Attributes:
        plan, registry, bench, output: What to do, with what, where.
        audience: Is told what happens: console, tracking, plugins.
        invocation: This run of the command.
        search: The search, None for other designs.
        refit: Train again what is in the store.
        executor: Trains the fits, opened and closed by the caller; None to train in this process.
    """

    plan: Plan
    registry: Registry
    bench: Bench
    output: Output
    audience: Audience
    invocation: Invocation
    search: Search | None = None
    refit: bool = False
    executor: Executor | None = None

    def __post_init__(self) -> None:
        self._executor = self.executor or Local(self.bench.machine)
        self._store = FitStore(self.output)
        self._journal = Journal(self.output, self.plan, self.bench.key)
        self._done: list[TrialResult] = []
        self.trained = 0
        self._yardsticks: dict[str, dict[tuple[str, str], dict[str, float]]] = {}

    @property
    def result(self) -> StudyResult:
        """What is known so far."""
        return StudyResult(self.plan, tuple(self._done), self._yardsticks)

    def run(self) -> StudyResult:
        """Run every trial that the plan has budget for.

        Raises:
            AblateError: A result cannot be stored.
            KeyboardInterrupt: The user stopped it; `result` holds what was finished.
        """
        self._journal.begin(header_of(self.bench), self.invocation)
        status = "failed"
        try:
            steps = self.bench.steps(self.plan.baseline.recipe)
            self.audience.study_started(self.plan, self.invocation, len(self.bench.subjects), steps)
            self._yardsticks = self.bench.yardsticks()
            self._journal.yardsticks(self._yardsticks)
            if "nl-means" not in self._yardsticks:
                self.audience.note("no row for nl-means: scikit-image is not installed")
            fixed = list(self.plan.fixed)
            for start in range(0, len(fixed), self._at_once):
                self._run_trials(fixed[start : start + self._at_once])
            if self.search is not None:
                self._run_search(self.search)
            status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            with contextlib.suppress(StoreError):  # what ended the study is what the user must see
                self._journal.end(status, [item.trial.name for item in self._done])
            self.audience.study_finished(self.result, status)
        return self.result

    @property
    def _at_once(self) -> int:
        """How many trials to run together, so that every worker and every place in a stack is used."""
        return max(1, math.ceil(self._executor.width / len(self.bench.subjects)))

    def _run_search(self, search: Search) -> None:
        for result in self._done:
            search.know(result.trial.name, result.trial.values, _score(result))
        wanted = self.plan.searched
        for asked in search.finished()[:wanted]:
            self._run_trials([self.plan.search_trial(asked.values, self.registry)])
            wanted -= 1
        while wanted > 0:
            places: list[tuple[Asked, Trial]] = []
            while len(places) < min(self._at_once, wanted):
                found = self._ask(search, [trial for _, trial in places])
                if found is None:
                    break
                places.append(found)
            if not places:
                self.audience.note("the search has tried every place that it can think of")
                return
            results = self._run_trials([trial for _, trial in places])
            for (asked, _), result in zip(places, results, strict=True):
                search.tell(asked, _score(result))
            wanted -= len(places)

    def _ask(self, search: Search, beside: Sequence[Trial]) -> tuple[Asked, Trial] | None:
        """Ask for a place that was not tried before and can be tried; None if there seems to be none."""
        known = {result.trial.recipe for result in self._done} | {trial.recipe for trial in beside}
        for tried in range(_TRIES):
            asked = search.ask(at_random=tried >= _TRIES // 4)
            try:
                trial = self.plan.search_trial(asked.values, self.registry)
                self.bench.check(trial.recipe)
            except AblateError as error:
                self.audience.note(f"the search left out {dict(asked.values)}: {error}")
                search.skip(asked)
                continue
            if trial.recipe not in known:
                return asked, trial
            search.skip(asked)
        return None

    def _run_trials(self, trials: Sequence[Trial]) -> list[TrialResult]:
        jobs = [self.bench.fits(trial.recipe) for trial in trials]
        wanted = {fit.key: fit for fits in jobs for fit in fits}
        stored = {} if self.refit else self._stored(wanted)
        results: dict[str, FitResult] = dict(stored)
        for trial, fits in zip(trials, jobs, strict=True):
            self.audience.trial_started(trial, len(fits), sum(fit.key in stored for fit in fits))
        finished: list[TrialResult] = []
        for result in self._arriving([fit for key, fit in wanted.items() if key not in stored]):
            if result is not None:
                results[result.key] = result
            # In the order of the plan: whoever listens can count on the baseline being the first.
            while len(finished) < len(trials):
                fits = jobs[len(finished)]
                if any(fit.key not in results for fit in fits):
                    break
                finished.append(self._finish(trials[len(finished)], fits, results, set(stored)))
        return finished

    def _stored(self, wanted: dict[str, Fit]) -> dict[str, FitResult]:
        images = self.audience.wants_images
        found = {key: self._store.load(key, with_image=images) for key in wanted}
        for path in self._store.damaged:
            self.audience.note(f"'{path}' is damaged; it was set aside and its fit is run again")
        self._store.damaged.clear()
        return {key: result for key, result in found.items() if result is not None}

    def _arriving(self, fits: Sequence[Fit]) -> Iterator[FitResult | None]:
        """Train fits and yield each result once it is safe on disk; first a None, for what is stored."""
        yield None
        for result in self._executor.run(fits, self.audience.point, self.audience.note):
            if not result.passing:
                self._store.save(result)
                self.trained += 1
            self.audience.fit_finished(result)
            yield result

    def _finish(
        self, trial: Trial, fits: Sequence[Fit], results: dict[str, FitResult], reused: set[str]
    ) -> TrialResult:
        rows = [
            Row(
                subject.condition.label,
                subject.image.name,
                subject.seed,
                results[fit.key],
                fit.key in reused,
            )
            for subject, fit in zip(self.bench.subjects, fits, strict=True)
        ]
        whole = TrialResult(trial, tuple(rows))
        # Images are for those who listen; a thousand trials need not keep them in memory.
        kept = whole.light()
        score = _score(kept)
        self._journal.add(kept, score if math.isfinite(score) else None)
        self._done.append(kept)
        self.audience.trial_finished(whole, self.result, self.bench.subjects)
        return kept


def _score(result: TrialResult) -> float:
    """Return what a search maximises, mean PSNR over conditions; NaN if any fit failed.

    A trial that lost its hardest image would otherwise draw the search to where fits diverge.
    """
    if result.failures:
        return math.nan
    conditions = dict.fromkeys(row.condition for row in result.rows)
    return float(np.mean([result.mean("psnr", condition) for condition in conditions]))
