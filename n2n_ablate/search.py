"""Chooses the next trial. The only file that imports optuna; its storage holds the search, no more."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from n2n_ablate.errors import StoreError
from n2n_ablate.output import Output
from n2n_ablate.space import Choice, Domain, Value
from n2n_ablate.study import Plan

_DECLARED = "declared"
optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Asked:
    """A place in the search space that the strategy wants to know."""

    number: int
    values: Mapping[str, Value]


class Search:
    """One search: goes on where an earlier one with the same plan stopped, unless `fresh`.

    Args:
        plan: Gives the space, the strategy and the identity of the search.
        output: Where the default storage is.
        storage: An SQLAlchemy URL; `optuna.db` in the output folder if empty.
        fresh: Start a new search beside the old one.

    Raises:
        StoreError: The storage cannot be opened.
    """

    def __init__(
        self, plan: Plan, output: Output, *, storage: str = "", fresh: bool = False
    ) -> None:
        self._plan = plan
        self._space = {
            key: _distribution(domain, whole=key in plan.whole)
            for key, domain in plan.space.items()
        }
        url = storage or f"sqlite:///{output.root / 'optuna.db'}"
        try:
            with output.opening():
                self._storage = optuna.storages.RDBStorage(url)
                name = self._name(fresh=fresh)
                self._study = optuna.create_study(
                    study_name=name,
                    storage=self._storage,
                    direction="maximize",
                    load_if_exists=True,
                )
        except Exception as error:  # SQLAlchemy and every driver have families of their own
            reason = str(error).splitlines()[0]
            msg = f"the search storage '{url}' cannot be opened: {reason}"
            raise StoreError(msg) from error
        self._reissue_interrupted()

    @property
    def name(self) -> str:
        """Name of the Optuna study."""
        return str(self._study.study_name)

    def finished(self) -> list[Asked]:
        """Return the trials that the strategy chose and that have a score, in order."""
        return [
            Asked(trial.number, dict(trial.params))
            for trial in self._study.get_trials(states=(TrialState.COMPLETE,))
            if _DECLARED not in trial.user_attrs
        ]

    def know(self, name: str, values: Mapping[str, Value], score: float) -> None:
        """Tell the strategy about a declared trial, once."""
        if set(values) != set(self._space) or not math.isfinite(score):
            return
        known = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if any(trial.user_attrs.get(_DECLARED) == name for trial in known):
            return
        inside = all(
            self._space[key]._contains(_internal(self._space[key], v)) for key, v in values.items()
        )
        if not inside:
            return
        trial = optuna.trial.create_trial(
            params=dict(values),
            distributions=self._space,
            value=score,
            user_attrs={_DECLARED: name},
        )
        self._study.add_trial(trial)

    def ask(self) -> Asked:
        """Return the next place to try.

        The strategy is seeded by the search and the number of trials in it: a search that was
        interrupted goes on as if it had not been.
        """
        seed = hashlib.sha256(f"{self.name}/{len(self._study.get_trials(deepcopy=False))}".encode())
        self._study.sampler = self._strategy(int.from_bytes(seed.digest()[:4], "big"))
        trial = self._study.ask(fixed_distributions=self._space)
        return Asked(trial.number, dict(trial.params))

    def tell(self, asked: Asked, score: float | None) -> None:
        """Report the score of an asked trial, None (or NaN) if it failed."""
        if score is None or not math.isfinite(score):
            self._study.tell(asked.number, state=TrialState.FAIL)
        else:
            self._study.tell(asked.number, score)

    def _strategy(self, seed: int) -> optuna.samplers.BaseSampler:
        if self._plan.study.strategy == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=self._plan.study.startup,
                multivariate=len(self._space) > 1,
                constant_liar=True,
            )

    def _name(self, *, fresh: bool) -> str:
        stem = f"{self._plan.study.name}/{self._plan.profile.name}/{self._plan.key}"
        names = [
            name for name in optuna.get_all_study_names(self._storage) if name.startswith(stem)
        ]
        latest = max((int(name.rpartition("#")[2]) for name in names if "#" in name), default=0)
        return f"{stem}#{latest + 1}" if fresh or not latest else f"{stem}#{latest}"

    def _reissue_interrupted(self) -> None:
        """Queue again what a process that is gone was trying: nobody else may hold this search."""
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)
            if set(trial.params) == set(self._space):
                self._study.enqueue_trial(trial.params)


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


def _internal(distribution: BaseDistribution, value: Value) -> float:
    return float(distribution.to_internal_repr(value))
