"""Chooses the next trial. Optuna's storage holds the search, no more."""

from __future__ import annotations

import contextlib
import hashlib
import math
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from n2n_ablate.errors import StoreError
from n2n_ablate.escape import unsigned
from n2n_ablate.output import Output
from n2n_ablate.part import Value
from n2n_ablate.space import Choice, Domain
from n2n_ablate.strategies import BESIDE, strategy
from n2n_ablate.study import Plan

_DECLARED, _SKIPPED = "declared", "skipped"
optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Asked:
    """A place in the search space that the strategy wants to know."""

    number: int
    values: Mapping[str, Value]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what a database raises (it is full, locked, gone) into one line."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = str(cause or error).splitlines()[0]
        msg = f"the search cannot be kept: {reason}"
        raise StoreError(msg) from error


class Search:
    """One search: goes on where an earlier one with the same plan stopped, unless `fresh`.

    Args:
        plan: Gives the space, the strategy and the identity of the search.
        output: Where the default storage is.
        key: Identity of the search; the plan's if empty.
        storage: An SQLAlchemy URL; `optuna.db` in the output folder if empty.
        fresh: Start a new search beside the old one.

    Raises:
        StoreError: The storage cannot be opened; later, from every method, that it cannot be used.
    """

    def __init__(
        self, plan: Plan, output: Output, *, key: str = "", storage: str = "", fresh: bool = False
    ) -> None:
        self._plan = plan
        self._key = key or plan.key
        if storage:
            # The lock is the output folder's, so a shared database must keep folders apart.
            home = f"{platform.node()}/{output.root}"
            self._key += f"-{hashlib.sha256(home.encode()).hexdigest()[:6]}"
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
            raise StoreError(unsigned(msg)) from error
        # Nobody else may hold this search, so whoever was running these trials is gone.
        running = self._study.get_trials(states=(TrialState.RUNNING,))
        self._interrupted = [_asked(t) for t in running if set(t.params) == set(self._space)]

    @property
    def name(self) -> str:
        """Name of the Optuna study."""
        return str(self._study.study_name)

    @_explained()
    def finished(self) -> list[Asked]:
        """Return the trials that the strategy chose and that have ended, failed ones too, in order."""
        ended = self._study.get_trials(states=(TrialState.COMPLETE, TrialState.FAIL))
        own = [trial for trial in ended if not {_DECLARED, _SKIPPED} & set(trial.user_attrs)]
        return [_asked(trial) for trial in own]

    @_explained()
    def know(self, name: str, values: Mapping[str, Value], score: float) -> None:
        """Tell the strategy about a declared trial, once."""
        inside = set(values) == set(self._space) and all(
            values[key] in domain for key, domain in self._plan.space.items()
        )
        if not inside or not math.isfinite(score):
            return
        known = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if any(trial.user_attrs.get(_DECLARED) == name for trial in known):
            return
        trial = optuna.trial.create_trial(
            params=dict(values),
            distributions=self._space,
            value=score,
            user_attrs={_DECLARED: name, BESIDE: "declared"},
        )
        self._study.add_trial(trial)

    @_explained()
    def ask(self, *, at_random: bool = False) -> Asked:
        """Return the next place to try, or any place if the strategy keeps to what it knows.

        The strategy is seeded by the search and the number of trials in it: a search that was
        interrupted goes on as if it had not been.
        """
        if self._interrupted:
            return self._interrupted.pop(0)
        seed = hashlib.sha256(f"{self.name}/{len(self._study.get_trials(deepcopy=False))}".encode())
        number = int.from_bytes(seed.digest()[:4], "big")
        chosen = "random" if at_random else self._plan.study.strategy
        startup = self._plan.study.startup
        self._study.sampler = strategy(chosen, number, self._space, startup=startup)
        trial = self._study.ask(fixed_distributions=self._space)
        if at_random:
            trial.set_user_attr(BESIDE, "at random")
        return Asked(trial.number, dict(trial.params))

    @_explained()
    def skip(self, asked: Asked) -> None:
        """Set aside a place that need not or cannot be tried; it is no trial of the study."""
        trial = self._study.get_trials(deepcopy=False)[asked.number]
        self._storage.set_trial_user_attr(trial._trial_id, _SKIPPED, value=True)
        self._study.tell(asked.number, state=TrialState.FAIL)

    @_explained()
    def tell(self, asked: Asked, score: float | None) -> None:
        """Report the score of an asked trial, None (or NaN) if it failed."""
        if score is None or not math.isfinite(score):
            self._study.tell(asked.number, state=TrialState.FAIL)
        else:
            self._study.tell(asked.number, score)

    def _name(self, *, fresh: bool) -> str:
        stem = f"{self._plan.study.name}/{self._plan.profile.name}/{self._key}"
        names = [
            name for name in optuna.get_all_study_names(self._storage) if name.startswith(stem)
        ]
        latest = max((int(name.rpartition("#")[2]) for name in names if "#" in name), default=0)
        return f"{stem}#{latest + 1}" if fresh or not latest else f"{stem}#{latest}"


def _asked(trial: optuna.trial.FrozenTrial) -> Asked:
    return Asked(trial.number, dict(trial.params))


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
