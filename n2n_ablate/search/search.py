"""Chooses the next trial. Optuna's storage holds the search, no more."""

from __future__ import annotations

import hashlib
import math
import platform
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from n2n_ablate.components import Strategy, declared
from n2n_ablate.components.parameters import Choice, Domain
from n2n_ablate.components.spec import Value
from n2n_ablate.components.strategy import ask, has_pickle, quiet, replay
from n2n_ablate.errors import StudyError, on_failure
from n2n_ablate.registry import Registry
from n2n_ablate.registry.entry import component_context
from n2n_ablate.search.database import SearchDatabase
from n2n_ablate.storage.output import Output
from n2n_ablate.study import Plan

NAME = "name"
"""Attribute of every trial: its name in the study, which is also that of its MLflow run."""
RUN = "mlflow"
"""Attribute of every trial: what finds its run when it is typed into MLflow's search."""
BESIDE = "beside"
"""Attribute of trials that the strategy did not choose: declared ones, and points drawn at random."""
_DECLARED, _SKIPPED = "declared", "skipped"
_LONGEST = 600.0  # seconds that a strategy may take for a point, waiting for the database included
quiet()


@dataclass(frozen=True)
class Proposal:
    """A point of the search space that the strategy wants to know."""

    number: int
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Outcome:
    """What a trial gave, for the search and for everybody who opens its database."""

    name: str  # of the trial; its MLflow run has the same
    score: float  # what the search goes by; NaN if a fit failed
    seconds: float = 0.0  # of training
    # the metric by step, mean over images and conditions; a few points
    curve: Mapping[int, float] = field(default_factory=dict)
    key: str = ""  # see `Plan.trial_key`

    @property
    def attributes(self) -> dict[str, str]:
        """What the database says of the trial beside its score."""
        run = {RUN: f"tags.`n2n.trial` = '{self.key}'"} if self.key else {}
        return {NAME: self.name, **run}


class Search:
    """One search: goes on where an earlier one with the same plan stopped, unless `fresh`.

    On PostgreSQL the search is everybody's who uses the database, one process at a time. In other
    databases every output folder has another, because only the folder's lock keeps processes apart.

    Args:
        plan: Gives the space, the strategy and the identity of the search.
        output: Where the default storage is.
        registry: Makes the strategy.
        key: Identity of the search; the plan's if empty.
        storage: An SQLAlchemy URL; `optuna.db` in the output folder if empty.
        fresh: Start a new search beside the old one.
        note: Told when the storage is away and waited for.

    Raises:
        StoreError: The storage cannot be opened.
        BusyError: Another process owns the search.
        StudyError: Others can write to the storage, and the strategy keeps pickles there.
        PluginError: The strategy cannot be made.
    """

    def __init__(
        self,
        plan: Plan,
        output: Output,
        registry: Registry,
        *,
        key: str = "",
        storage: str = "",
        fresh: bool = False,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._plan = plan
        self._maximise = plan.scales[plan.study.decide].higher_is_better
        self._database = SearchDatabase(storage, output, note)
        self._storage = self._database.storage
        self._stem = f"{plan.study.name}/{plan.profile.name}/{key or plan.key}"
        if storage and not self._database.shared:
            home = f"{platform.node()}/{output.root}"
            self._stem += f"-{hashlib.sha256(home.encode()).hexdigest()[:6]}"
        self._space = {
            key: _distribution(domain, whole=key in plan.whole)
            for key, domain in plan.space.items()
        }
        busy = f"study '{plan.study.name}' is being run by {{owner}}, with the same search storage."
        assert plan.strategy is not None, "only a search has one"
        self._strategy = registry.get("strategy", plan.strategy.name)
        strategy = registry.build("strategy", plan.strategy.name, plan.strategy.parameters)
        with on_failure(self._database.close):
            if declared(strategy, "stores_pickles", False):
                self._refuse_pickles(known=True)
            self._database.hold(self._stem, f"{busy} Wait, or use another --storage.")
            self._study = self._database.call(lambda: self._opened(fresh=fresh))
            # Nobody else may hold this search, so whoever was running these trials is gone.
            self._database.call(self._give_up_half_asked)
            running = self._database.call(self._running)
            self._take_up(strategy)
        self._interrupted = [_asked(trial) for trial in running]
        self._handed = {asked.number for asked in self._interrupted}

    @property
    def name(self) -> str:
        """Name of the Optuna study."""
        return str(self._study.study_name)

    def close(self) -> None:
        """Let go of the database, so that another process may go on."""
        self._database.close()

    def finished(self) -> list[Proposal]:
        """Return the trials that the strategy chose and that have ended, failed ones too, in order."""
        states = (TrialState.COMPLETE, TrialState.FAIL)
        ended = self._database.call(lambda: self._study.get_trials(states=states))
        chosen = [trial for trial in ended if not {_DECLARED, _SKIPPED} & set(trial.user_attrs)]
        return [_asked(trial) for trial in chosen]

    def know(self, values: Mapping[str, Value], outcome: Outcome) -> None:
        """Tell the strategy about a declared trial, once."""
        inside = set(values) == set(self._space) and all(
            values[key] in domain for key, domain in self._plan.space.items()
        )
        if not inside or not math.isfinite(outcome.score):
            return
        trial = optuna.trial.create_trial(
            params=dict(values),
            distributions=self._space,
            value=outcome.score,
            user_attrs={**outcome.attributes, _DECLARED: outcome.name, BESIDE: "declared"},
            intermediate_values=dict(outcome.curve),
        )
        if trial.datetime_complete is not None:
            trial.datetime_start = trial.datetime_complete - timedelta(seconds=outcome.seconds)

        def add() -> None:
            known = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if not any(one.user_attrs.get(_DECLARED) == outcome.name for one in known):
                self._study.add_trial(trial)

        self._database.call(add)

    def ask(self, *, at_random: bool = False) -> Proposal:
        """Return the next point to try, or any point if the strategy keeps to what it knows.

        Raises:
            PluginError: The strategy fails.
            StudyError: As the constructor.
            StoreError: The storage stays away.
        """
        if self._interrupted:
            return self._interrupted.pop(0)
        with component_context(self._strategy, "cannot choose a point", "sampler", _LONGEST):
            asked = self._database.call(lambda: self._ask(at_random=at_random))
        self._handed.add(asked.number)
        return asked

    def skip(self, asked: Proposal) -> None:
        """Set aside a point that need not or cannot be tried; it is no trial of the study."""

        def mark() -> None:
            trial = self._study.get_trials(deepcopy=False)[asked.number]
            if not trial.state.is_finished():
                self._storage.set_trial_user_attr(trial._trial_id, _SKIPPED, value=True)

        self._database.call(mark)
        self.tell(asked, None)

    def tell(self, asked: Proposal, outcome: Outcome | None) -> None:
        """Report what an asked trial gave; None, or a score of NaN, if it failed."""
        failed = outcome is None or not math.isfinite(outcome.score)
        state = {"state": TrialState.FAIL} if failed else {"values": outcome and outcome.score}

        def report() -> None:
            if outcome is not None:
                self._describe(asked.number, outcome)
            # After an outage nobody knows whether the first attempt was heard.
            self._study.tell(asked.number, skip_if_finished=True, **state)

        self._database.call(report)

    def _describe(self, number: int, outcome: Outcome) -> None:
        trial = self._study.get_trials(deepcopy=False)[number]
        if trial.state.is_finished():
            return
        for name, text in outcome.attributes.items():
            self._storage.set_trial_user_attr(trial._trial_id, name, text)
        for step, value in outcome.curve.items():
            self._storage.set_trial_intermediate_value(trial._trial_id, step, value)

    def _opened(self, *, fresh: bool) -> optuna.Study:
        study = optuna.create_study(
            study_name=self._name(fresh=fresh),
            storage=self._storage,
            direction="maximize" if self._maximise else "minimize",
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([self._plan.study.decide])
        return study

    def _running(self, *, whole: bool = True) -> list[optuna.trial.FrozenTrial]:
        """Return the running trials whose point is stored, or the others."""
        running = self._study.get_trials(states=(TrialState.RUNNING,))
        return [trial for trial in running if (set(trial.params) == set(self._space)) is whole]

    def _give_up_half_asked(self) -> None:
        """End trials whose process died before their point was stored: nobody will ever train them.

        They are no choices of the strategy, which makes the same choice again.
        """
        for trial in self._running(whole=False):
            for name in (BESIDE, _SKIPPED):
                self._storage.set_trial_user_attr(trial._trial_id, name, "half asked")
            self._study.tell(trial.number, state=TrialState.FAIL)

    def _ask(self, *, at_random: bool) -> Proposal:
        if self._database.broke:  # an outage may have cost the answer, but not the trial
            lost = [trial for trial in self._running() if trial.number not in self._handed]
            if lost:
                return _asked(lost[0])
        sampler = self._sampler
        if at_random:  # other points than those it has named before
            count = len(self._study.get_trials(deepcopy=False))
            sampler = optuna.samplers.RandomSampler(seed=self._seed + count)
        self._study.sampler = sampler
        self._refuse_pickles()
        trial = ask(self._study, self._space)
        self._refuse_pickles()
        if at_random:
            trial.set_user_attr(BESIDE, "at random")
        return Proposal(trial.number, dict(trial.params))

    def _take_up(self, strategy: Strategy) -> None:
        """Make the strategy's sampler and bring it to where it stood when an earlier command ended."""
        seed = hashlib.sha256(self.name.encode()).digest()
        self._seed = int.from_bytes(seed[:4], "big") >> 1
        with component_context(self._strategy, "cannot be made", "sampler", _LONGEST):
            self._sampler = strategy.sampler(self._seed)
            if not isinstance(self._sampler, optuna.samplers.BaseSampler):
                problem = f"must return a sampler of Optuna's, got {self._sampler!r}"
                raise self._strategy.error(problem, "sampler")
            self._database.call(self._refuse_pickles)
            about = self._sampler, self._study, self._space
            self._database.call(lambda: replay(*about, lambda one: BESIDE not in one.user_attrs))

    def _refuse_pickles(self, *, known: bool = False) -> None:
        if not self._database.shared:
            return
        if not known:
            stored = self._storage.get_study_system_attrs(self._study._study_id)
            trials = self._study.get_trials(deepcopy=False)
            known = has_pickle([stored, *(trial.system_attrs for trial in trials)])
        if known:
            msg = (
                f"{self._strategy} keeps pickles in the search storage, and this one is shared: "
                "whoever can write to it could run code here. Leave --storage out, or use another "
                "strategy."
            )
            raise StudyError(msg)

    def _name(self, *, fresh: bool) -> str:
        stem = self._stem
        names = optuna.get_all_study_names(self._storage)
        alike = [name for name in names if name.startswith(stem) and "#" in name]
        latest = max((int(name.rpartition("#")[2]) for name in alike), default=0)
        return f"{stem}#{latest + 1}" if fresh or not latest else f"{stem}#{latest}"


def _asked(trial: optuna.trial.FrozenTrial) -> Proposal:
    return Proposal(trial.number, dict(trial.params))


def _distribution(domain: Domain, *, whole: bool) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(list(domain.values))
    if whole:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    if domain.log:
        return FloatDistribution(domain.low, domain.high, log=True)
    # A grid finer than anyone can measure keeps the numbers in the tables short.
    step = 10.0 ** math.floor(math.log10(max(domain.high - domain.low, 1e-12) / 200))
    even = math.isclose(math.remainder(domain.high - domain.low, step), 0, abs_tol=step * 1e-6)
    return FloatDistribution(domain.low, domain.high, step=step if even else None)
