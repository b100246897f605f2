"""One plan on its paired data: trials into fits, results into trials, each kept as soon as it is whole."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from n2n_ablate.engine import Fit
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.reference_methods import are_whole, reference_methods
from n2n_ablate.execute import Executor
from n2n_ablate.records import (
    FitResult,
    Header,
    NoisySample,
    ReferenceMethods,
    Row,
    StudyTrials,
    TrialResult,
)
from n2n_ablate.records.fit import Listener
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.journal_writer import Section
from n2n_ablate.study import Plan, Trial


@dataclass
class Trainer:
    """Gives the results of fits."""

    store: FitStore  # where finished fits are
    executor: Executor  # trains the others
    dispatcher: HookDispatcher  # hears of every fit
    refit: bool = False  # train again what is in the store, once
    # keys of the fits that were trained by this object
    fresh: set[str] = field(default_factory=set)
    trained: int = 0  # how many of them gave a result that was stored
    seconds: float = 0.0  # how long that took, by the clock on the wall

    def stored(self, wanted: Mapping[str, Fit]) -> dict[str, FitResult]:
        """Return the results that are there, with their images if a plugin wants to see them."""
        keys = [key for key in wanted if not self.refit or key in self.fresh]
        images = self.dispatcher.wants_images
        results = {key: self.store.load(key, with_image=images) for key in keys}
        for path in self.store.damaged:
            self.dispatcher.note(f"'{path}' is damaged; it was set aside and its fit is retrained")
        self.store.damaged.clear()
        return {key: result for key, result in results.items() if result is not None}

    def train(self, fits: Sequence[Fit], listener: Listener) -> Iterator[FitResult]:
        """Train fits and yield each result once it is safe on disk, in no fixed order.

        `listener` hears of every point, from any thread.
        """
        began = time.monotonic()
        for result in self.executor.run(fits, listener, self.dispatcher.note):
            if not result.passing:
                self.store.save(result)
                self.trained += 1
            self.fresh.add(result.key)
            self.dispatcher.fit_finished(result)
            self.seconds, began = self.seconds + time.monotonic() - began, time.monotonic()
            yield result
            began = time.monotonic()

    @property
    def per_fit(self) -> float | None:
        """Seconds that a fit takes here, all workers busy; None if none was trained yet."""
        return self.seconds / len(self.fresh) if self.fresh else None


@dataclass
class PlanRunner:
    """A study has one, and a second one for its confirmation."""

    paired_data: PairedData  # with the plan
    trainer: Trainer  # gives results of fits
    journal: Section  # its part of the study's journal
    dispatcher: HookDispatcher  # hears what happens
    sizes: tuple[int, ...] = ()  # images at each interim analysis of a race; empty without one
    earlier: tuple[str, ...] = ()  # see `Header`
    reference_methods: ReferenceMethods = field(default_factory=dict)  # see `StudyTrials`

    def __post_init__(self) -> None:
        self._done: dict[str, TrialResult] = {}
        self._announced: set[str] = set()  # fits whose trial has started, or went on

    @property
    def plan(self) -> Plan:
        """What was asked."""
        return self.paired_data.plan

    @property
    def result(self) -> StudyTrials:
        """What is known so far."""
        trials = tuple(self._done.values())
        return StudyTrials(self.plan, trials, self.reference_methods, header=self.header)

    @cached_property
    def header(self) -> Header:
        """What the trials share."""
        return self.paired_data.header(self.sizes, self.earlier)

    @property
    def size(self) -> tuple[int, int]:
        """Fits per trial, and steps that a fit of the baseline trains."""
        return len(self.paired_data.samples), self.paired_data.steps(self.plan.baseline.recipe)

    def begin(self) -> None:
        """Measure what needs no training, unless the journal has it."""
        baseline = self.plan.baseline
        keys = {fit.key for fit in self.paired_data.fits(baseline.recipe)}
        stored = self.journal.stored_reference_methods(baseline.name, keys)
        self.reference_methods = (
            stored if are_whole(stored, self.paired_data) else reference_methods(self.paired_data)
        )
        self.journal.reference_methods(self.reference_methods)

    def run_all(self) -> None:
        """Run every trial that the plan knows beforehand."""
        left = list(self.plan.fixed)
        while left:
            size = self.at_once  # asked each time: workers join and leave
            self.run(left[:size])
            del left[:size]

    @property
    def at_once(self) -> int:
        """How many trials to run together, so that every worker and every row of a stack is used."""
        return max(1, math.ceil(self.trainer.executor.width / len(self.paired_data.samples)))

    def samples(self, images: int | None = None) -> list[NoisySample]:
        """Return the noisy images of the first so many images, in the order of the fits."""
        names = {image.name for image in self.paired_data.images[:images]}
        return [sample for sample in self.paired_data.samples if sample.image.name in names]

    def missing(self, trials: Sequence[Trial], images: int) -> int:
        """Return how many fits of trials on the first so many images have to be trained."""
        keys = {
            fit.key
            for trial in trials
            for fit in self.paired_data.fits(trial.recipe, self.samples(images))
        }
        known = keys & self.trainer.fresh
        if not self.trainer.refit:
            known |= {key for key in keys if key in self.trainer.store}
        return len(keys - known)

    def run(
        self, trials: Sequence[Trial], *, images: int | None = None, more: bool = False
    ) -> list[TrialResult]:
        """Run trials and return their results, light ones without denoised images.

        `images`: on the first so many images; None for all; `more`: further images may follow: the trials are
        journaled as open, and not finished.
        """
        samples = self.samples(images)
        jobs = [self.paired_data.fits(trial.recipe, samples) for trial in trials]
        wanted = {fit.key: fit for fits in jobs for fit in fits}
        results = self.trainer.stored(wanted)
        there = set(results)
        for trial, fits in zip(trials, jobs, strict=True):
            new = {fit.key for fit in fits} - self._announced
            if new:
                self.dispatcher.trial_started(trial, len(fits), len(new & there))
            self._announced |= new
        finished: list[TrialResult] = []
        listener = self._listener(trials, jobs, samples)
        left = [fit for key, fit in wanted.items() if key not in there]
        # What is stored may already make a trial whole.
        for result in itertools.chain([None], self.trainer.train(left, listener)):
            if result is not None:
                results[result.key] = result
            # In the order of the plan: whoever listens can count on the baseline being the first.
            while len(finished) < len(trials):
                fits = jobs[len(finished)]
                if any(fit.key not in results for fit in fits):
                    break
                trial = trials[len(finished)]
                finished.append(self._finish(trial, samples, fits, results, more=more))
        return finished

    def _listener(
        self,
        trials: Sequence[Trial],
        jobs: Sequence[Sequence[Fit]],
        samples: Sequence[NoisySample],
    ) -> Listener:
        """Return what says of every point whose it is, and hands it on."""
        owners: dict[str, dict[str, Any]] = {}
        for trial, fits in zip(trials, jobs, strict=True):
            for fit, sample in zip(fits, samples, strict=True):
                label, image = sample.condition.label, sample.image.name
                about = {"trial": trial.name, "condition": label, "image": image}
                owners.setdefault(fit.key, about | {"seed": sample.seed})
        return lambda point: self.dispatcher.point(replace(point, **owners[point.key]))

    def _load(self, key: str) -> FitResult | None:
        """Read a stored fit with its image, from any thread."""
        store = self.trainer.store.reader()
        result = store.load(key, with_image=True)
        for text in store.imageless_told():
            self.dispatcher.note(text)
        return result

    def _finish(
        self,
        trial: Trial,
        samples: Sequence[NoisySample],
        fits: Sequence[Fit],
        results: Mapping[str, FitResult],
        *,
        more: bool,
    ) -> TrialResult:
        rows = []
        for sample, fit in zip(samples, fits, strict=True):
            label, image = sample.condition.label, sample.image.name
            cached = fit.key not in self.trainer.fresh
            rows.append(Row(label, image, sample.seed, results[fit.key], cached))
        whole = TrialResult(trial, tuple(rows), self._load)
        # Images are for those who listen; a thousand trials need not keep them in memory.
        kept = whole.light()
        score = score_of(kept, self.plan.study.decide)
        self.journal.add(kept, score if math.isfinite(score) else None, more=more)
        self._done[trial.name] = kept
        if not more:
            self.dispatcher.trial_finished(whole, self.result, samples)
        return kept


def score_of(result: TrialResult, metric: str) -> float:
    """Return what a search goes by, the mean over conditions of a metric; NaN if any fit failed.

    A trial that lost its hardest image would otherwise draw the search to where fits diverge.
    """
    if result.failures:
        return math.nan
    conditions = dict.fromkeys(row.condition for row in result.rows)
    return float(np.mean([result.mean(metric, condition) for condition in conditions]))
