"""Runs a study: its trials, then their confirmation. Keeps the order of events."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import StoreError
from n2n_ablate.execute import Executor, Local
from n2n_ablate.records import Header, Invocation, StudyTrials
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.runner.interim import run_race, sizes_for
from n2n_ablate.runner.plan_runner import PlanRunner, Trainer, score_of
from n2n_ablate.runner.searching import search_on
from n2n_ablate.runner.session import RunOptions, Session
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.journal_writer import Journal
from n2n_ablate.storage.output import Output
from n2n_ablate.storage.runs import EndedRuns, earlier_confirmations
from n2n_ablate.study import Trial, chosen, confirmation

if TYPE_CHECKING:
    from n2n_ablate.search.search import Search


class Runner:
    """One run of a study.

    Args:
        session: What to do, with what.
        options: How.
        output: The output folder.
        dispatcher: Hears what happens: console, tracking, plugins.
        invocation: This run of the command.
        search: The search, None for other designs.
        executor: Trains the fits, opened and closed by the caller; None to train in this process.
    """

    def __init__(
        self,
        session: Session,
        options: RunOptions,
        output: Output,
        dispatcher: HookDispatcher,
        invocation: Invocation,
        search: Search | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._begun = time.monotonic()
        self.plan, self._registry = session.plan, session.registry
        self.paired_data = paired_data = session.paired_data
        self.confirmation_data = held_out = session.confirmation_data
        self.output, self.dispatcher = output, dispatcher
        self.invocation, self.search = invocation, search
        self._race = options.race
        sizes: tuple[int, ...] = ()
        if self._race is not None and held_out is not None:
            self.confirmation_data = held_out.shuffled()
            sizes_for(self.confirmation_data)  # too few are named at once
        elif self._race is not None:
            self.paired_data = paired_data = paired_data.shuffled()
            sizes = sizes_for(paired_data)
        executor = executor or Local(paired_data.machine)
        self._trainer = Trainer(FitStore(output), executor, dispatcher, refit=options.refit)
        self._journal = Journal(output, self.plan, paired_data.key)
        self._plan_runner = PlanRunner(
            paired_data, self._trainer, self._journal.study, dispatcher, sizes
        )
        self._confirming: PlanRunner | None = None

    @property
    def result(self) -> StudyTrials:
        """What is known so far."""
        result = self._plan_runner.result
        return result.with_confirmed(self._confirming.result) if self._confirming else result

    @property
    def header(self) -> Header:
        """What the trials share, with that of the confirmation once it has begun."""
        later = self._confirming
        header = self._plan_runner.header
        return header.with_confirmed(later.header) if later else header

    @property
    def trained(self) -> int:
        """How many fits were trained."""
        return self._trainer.trained

    def run(self) -> StudyTrials:
        """Run every trial that the plan has budget for, and the confirmation if there is one.

        Raises:
            AblateError: A result cannot be stored.
            KeyboardInterrupt: The user stopped it; `result` holds what was finished.
        """
        self._journal.begin(self.header, self.invocation)
        status = "failed"
        try:
            fits, steps = self._plan_runner.size
            ended = EndedRuns(self.output, self.plan.study.name, self.invocation.id)
            self.dispatcher.study_started(self.plan, self.invocation, fits, steps, ended)
            self._plan_runner.begin()
            if "nl-means" not in self._plan_runner.reference_methods:
                self.dispatcher.note("no row for nl-means: scikit-image is not installed")
            self._run(self._plan_runner)
            if self.search is not None:
                search_on(self._plan_runner, self.search, self._registry)
            if self.confirmation_data is not None:
                self._confirm(self.confirmation_data)
            status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            result = self.result
            with contextlib.suppress(StoreError):  # what ended the study is what the user must see
                self._journal.end(status, result)
            self.dispatcher.study_finished(result, status)
        return result

    def _run(self, plan_runner: PlanRunner) -> None:
        if plan_runner.sizes and self._race is not None:
            run_race(plan_runner, self._race, self._begun)
        else:
            plan_runner.run_all()

    def _confirm(self, paired_data: PairedData) -> None:
        before = self._journal.confirmed_on(paired_data.header().images)
        plan = confirmation(self.plan, chosen(self.plan, self._ranked()), before)
        if not plan.contrasts:
            self.dispatcher.note("nothing to confirm: no contrast, and no trial above the baseline")
            return
        paired_data = paired_data.with_plan(plan)
        sizes = sizes_for(paired_data) if self._race is not None else ()
        earlier = earlier_confirmations(
            self.output.root, paired_data.header(sizes), self._journal.confirmed
        )
        section = self._journal.confirmation(paired_data.header(sizes, earlier))
        plan_runner = PlanRunner(
            paired_data, self._trainer, section, self.dispatcher, sizes, earlier
        )
        self._confirming = plan_runner
        self.dispatcher.confirmation_started(plan, *plan_runner.size)
        plan_runner.begin()
        self._run(plan_runner)

    def _ranked(self) -> list[Trial]:
        """Return the study's trials without a failure, best first."""
        metric = self.plan.study.decide
        sign = 1 if self.plan.scales[metric].higher_is_better else -1
        scores = [
            (score_of(trial_result, metric), trial_result.trial)
            for trial_result in self._plan_runner.result.trials
        ]
        whole = [(score, trial) for score, trial in scores if math.isfinite(score)]
        return [trial for _, trial in sorted(whole, key=lambda pair: -sign * pair[0])]
