"""Runs a study: trials into fits, fits into results. Holds the lock, the stores and the order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Protocol

import numpy as np

from n2n_ablate.bench import Bench
from n2n_ablate.fit import Fit, FitResult, Point, fit_all
from n2n_ablate.journal import Journal
from n2n_ablate.output import Output
from n2n_ablate.registry import Registry
from n2n_ablate.results import Row, StudyResult, TrialResult
from n2n_ablate.store import FitStore
from n2n_ablate.study import Plan, Trial
from n2n_ablate.trackers import Invocation, Tracker

if TYPE_CHECKING:
    from n2n_ablate.search import Asked, Search

_SAME_PLACE = 3  # how often a search may ask for a recipe that was tried before it is believed


class Audience(Protocol):
    """Told what happens, for people: a console, a progress bar, nothing at all."""

    def begun(self, bench: Bench) -> None:
        """The images are ready and the recipes are checked."""
        ...

    def trial_begun(self, trial: Trial, fits: int, reused: int) -> None:
        """A trial starts; `reused` of its fits are in the store."""
        ...

    def point(self, point: Point) -> None:
        """A fit has a new point on its curves. Called from any thread."""
        ...

    def fit_done(self, result: FitResult) -> None:
        """A fit is finished and stored."""
        ...

    def trial_done(self, result: TrialResult, so_far: StudyResult) -> None:
        """A trial is finished."""
        ...

    def note(self, message: str) -> None:
        """Something happened that the user should know. Called from any thread."""
        ...


@dataclass
class Runner:
    """One run of a study.

    Attributes:
        plan, registry, bench, output: What to do, with what, where.
        tracker: Receives the trials.
        audience: Is told what happens.
        invocation: Goes to the tracker.
        search: The search, None for other designs.
        refit: Train again what is in the store.
        stop: Set it to stop within a training step.
    """

    plan: Plan
    registry: Registry
    bench: Bench
    output: Output
    tracker: Tracker
    audience: Audience
    invocation: Invocation
    search: Search | None = None
    refit: bool = False
    stop: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._store = FitStore(self.output)
        self._journal = Journal(self.output, self.plan)
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
            AblateError: A recipe does not fit the images, or a result cannot be stored.
            KeyboardInterrupt: The user stopped it; `result` holds what was finished.
        """
        for recipe in dict.fromkeys(trial.recipe for trial in self.plan.fixed):
            self.bench.check(recipe)
        self.tracker.start(self.plan, self.invocation)
        status = "failed"
        try:
            self.audience.begun(self.bench)
            self._yardsticks = self.bench.yardsticks()
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
            self.stop.set()
            self.tracker.finish(self.result, status)
        return self.result

    @property
    def _at_once(self) -> int:
        """How many trials to run together, so that every worker and every place in a stack is used."""
        machine = self.bench.machine
        return max(1, math.ceil(max(machine.stack, machine.workers) / len(self.bench.subjects)))

    def _run_search(self, search: Search) -> None:
        for result in self._done:
            search.know(result.trial.name, result.trial.values, _score(result))
        wanted = self.plan.searched
        for asked in search.finished()[:wanted]:
            self._run_trials([self.plan.search_trial(asked.values, self.registry)])
            wanted -= 1
        while wanted > 0:
            places = [self._ask(search) for _ in range(min(self._at_once, wanted))]
            trials = [self.plan.search_trial(place.values, self.registry) for place in places]
            for place, result in zip(places, self._run_trials(trials), strict=True):
                search.tell(place, _score(result))
            wanted -= len(places)

    def _ask(self, search: Search) -> Asked:
        """Ask for a place; one that was tried before is answered from memory and asked again."""
        for _ in range(_SAME_PLACE):
            asked = search.ask()
            recipe = self.plan.search_trial(asked.values, self.registry).recipe
            known = next((item for item in self._done if item.trial.recipe == recipe), None)
            if known is None:
                return asked
            search.tell(asked, None)
        return search.ask()

    def _run_trials(self, trials: Sequence[Trial]) -> list[TrialResult]:
        jobs = {trial.name: self.bench.fits(trial.recipe) for trial in trials}
        wanted = {fit.key: fit for fits in jobs.values() for fit in fits}
        stored = {} if self.refit else self._stored(wanted)
        results: dict[str, FitResult] = dict(stored)
        for trial in trials:
            fits = jobs[trial.name]
            self.audience.trial_begun(trial, len(fits), sum(fit.key in stored for fit in fits))
        finished: list[TrialResult] = []
        for result in self._arriving([fit for key, fit in wanted.items() if key not in stored]):
            if result is not None:
                results[result.key] = result
            # In the order of the plan: whoever listens can count on the baseline being the first.
            while len(finished) < len(trials):
                trial = trials[len(finished)]
                if any(fit.key not in results for fit in jobs[trial.name]):
                    break
                finished.append(self._finish(trial, jobs[trial.name], results, set(stored)))
        return finished

    def _stored(self, wanted: dict[str, Fit]) -> dict[str, FitResult]:
        found = {key: self._store.load(key, with_image=True) for key in wanted}
        for path in self._store.damaged:
            self.audience.note(f"'{path}' is damaged; it was set aside and its fit is run again")
        self._store.damaged.clear()
        return {key: result for key, result in found.items() if result is not None}

    def _arriving(self, fits: Sequence[Fit]) -> Iterator[FitResult | None]:
        """Train fits and yield each result once it is safe on disk; first a None, for what is stored."""
        yield None
        for result in fit_all(fits, self.bench.machine, self.audience.point, stop=self.stop):
            if not result.passing:
                self._store.save(result)
                self.trained += 1
            self.audience.fit_done(result)
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
        self.tracker.trial(whole, self.bench.subjects)
        # Images are for the tracker; a thousand trials need not keep them in memory.
        light = tuple(replace(row, result=replace(row.result, denoised=None)) for row in rows)
        kept = TrialResult(trial, light)
        score = _score(kept)
        self._journal.add(kept, score if math.isfinite(score) else None)
        self._done.append(kept)
        self.audience.trial_done(kept, self.result)
        return kept


def _score(result: TrialResult) -> float:
    """Return what a search maximises, mean PSNR over conditions; NaN if any fit failed.

    A trial that lost its hardest image would otherwise draw the search to where fits diverge.
    """
    if result.failures:
        return math.nan
    conditions = dict.fromkeys(row.condition for row in result.rows)
    return float(np.mean([result.mean("psnr", condition) for condition in conditions]))
