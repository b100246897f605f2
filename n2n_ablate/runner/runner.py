"""Runs a study: its trials, then their confirmation. Keeps the order of events."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from n2n_ablate.analysis import StudyResult
from n2n_ablate.analysis.header import Header, header_of
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import StoreError
from n2n_ablate.execute import Executor, Local
from n2n_ablate.registry import Registry
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.runner.interim import Race, run_race, sizes_for
from n2n_ablate.runner.plan_runner import PlanRunner, score_of
from n2n_ablate.runner.searching import search_on
from n2n_ablate.runner.trainer import Trainer
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.invocation import Invocation
from n2n_ablate.storage.journal_writer import Journal
from n2n_ablate.storage.output import Output
from n2n_ablate.study import Plan, Trial, chosen, confirmation

if TYPE_CHECKING:
    from n2n_ablate.search.search import Search


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
        confirm_bench: What the contrasts are confirmed on, None for no confirmation.
        race: Look at the contrasts while they run, those of the confirmation if there is one; None
            to look once, at the end.
    """

    plan: Plan
    registry: Registry
    bench: PairedData
    output: Output
    audience: HookDispatcher
    invocation: Invocation
    search: Search | None = None
    refit: bool = False
    executor: Executor | None = None
    confirm_bench: PairedData | None = None
    race: Race | None = None

    def __post_init__(self) -> None:
        self._begun = time.monotonic()
        self._trainer = Trainer(
            FitStore(self.output),
            self.executor or Local(self.bench.machine),
            self.audience,
            refit=self.refit,
        )
        self._journal = Journal(self.output, self.plan, self.bench.key)
        raced = self.race is not None and self.confirm_bench is None
        self._stage = PlanRunner(
            self.bench,
            self._trainer,
            self._journal.study,
            self.audience,
            sizes_for(len(self.bench.images)) if raced else (),
        )
        self._confirming: PlanRunner | None = None
        if self.race is not None and self.confirm_bench is not None:
            sizes_for(len(self.confirm_bench.images))  # too few are told at once

    @property
    def result(self) -> StudyResult:
        """What is known so far."""
        found = self._stage.result
        return found.with_confirmed(self._confirming.result) if self._confirming else found

    @property
    def header(self) -> Header:
        """What the trials share, with that of the confirmation once it has begun."""
        later = self._confirming
        own = header_of(self.bench, self._stage.sizes)
        return own.with_confirmed(header_of(later.bench, later.sizes)) if later else own

    @property
    def trained(self) -> int:
        """How many fits were trained."""
        return self._trainer.trained

    def run(self) -> StudyResult:
        """Run every trial that the plan has budget for, and the confirmation if there is one.

        Raises:
            AblateError: A result cannot be stored.
            KeyboardInterrupt: The user stopped it; `result` holds what was finished.
        """
        self._journal.begin(self.header, self.invocation)
        status = "failed"
        try:
            fits, steps = self._stage.size
            self.audience.study_started(self.plan, self.invocation, fits, steps)
            self._stage.begin()
            if "nl-means" not in self._stage.yardsticks:
                self.audience.note("no row for nl-means: scikit-image is not installed")
            self._run(self._stage)
            if self.search is not None:
                search_on(self._stage, self.search, self.registry)
            if self.confirm_bench is not None:
                self._confirm(self.confirm_bench)
            status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            result = self.result
            with contextlib.suppress(StoreError):  # what ended the study is what the user must see
                self._journal.end(status, result)
            self.audience.study_finished(result, status)
        return result

    def _run(self, stage: PlanRunner) -> None:
        if stage.sizes and self.race is not None:
            run_race(stage, self.race, self._begun)
        else:
            stage.run_all()

    def _confirm(self, bench: PairedData) -> None:
        before = self._journal.confirmed_on(header_of(bench).images)
        plan = confirmation(self.plan, chosen(self.plan, self._ranked()), before)
        if not plan.contrasts:
            self.audience.note("nothing to confirm: no contrast, and no trial above the baseline")
            return
        bench = bench.with_plan(plan)
        sizes = sizes_for(len(bench.images)) if self.race is not None else ()
        section = self._journal.confirmation(header_of(bench, sizes))
        stage = PlanRunner(bench, self._trainer, section, self.audience, sizes)
        self._confirming = stage
        self.audience.confirmation_started(plan, *stage.size)
        stage.begin()
        self._run(stage)

    def _ranked(self) -> list[Trial]:
        """Return the study's trials without a failure, best first."""
        scores = [(score_of(item), item.trial) for item in self._stage.result.trials]
        whole = [(score, trial) for score, trial in scores if math.isfinite(score)]
        return [trial for _, trial in sorted(whole, key=lambda pair: -pair[0])]
