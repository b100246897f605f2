"""Search strategies by name: what chooses the next point from the points and scores so far.

Each is made anew for every point, with another seed, and knows nothing but what stands in the
storage. So it does not matter how often a search was interrupted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

BESIDE = "beside"
"""Attribute of trials that the strategy did not choose: declared ones, and places drawn at random."""

_WIDTH = 1 / 4  # of the first generation of CMA-ES, in ranges


def strategy(
    name: str, seed: int, space: Mapping[str, BaseDistribution], *, startup: int
) -> optuna.samplers.BaseSampler:
    """Return a search strategy.

    Args:
        name: One of `study.model.STRATEGIES`.
        seed: Of the next point.
        space: What is varied.
        startup: Trials that it must know before it stops choosing at random; `cma-es` needs one.
    """
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "gp":
        return optuna.samplers.GPSampler(
            seed=seed, n_startup_trials=startup, warn_independent_sampling=False
        )
    if name == "cma-es":
        return CmaEs(space, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=startup, multivariate=len(space) > 1, constant_liar=True
        )


class CmaEs(optuna.samplers.BaseSampler):
    """CMA-ES (Hansen, 2016) of the package `cmaes`, its state worked out from the trials so far.

    Optuna's sampler keeps the state as a pickle in the storage, and unpickles whatever is there
    there: whoever can write to a shared database could run code here. Telling the generations again
    takes milliseconds. The first generation lies around the best point that was declared.

    Args:
        space: What is varied, numbers only.
        seed: Of the next point.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], seed: int) -> None:
        self._space = {key: _Axis(distribution) for key, distribution in space.items()}
        self._seed = seed
        self._random = optuna.samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
    ) -> dict[str, BaseDistribution]:
        """Return what is varied together: everything."""
        return {key: axis.distribution for key, axis in self._space.items()}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Return the next point."""
        import cmaes

        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        beside = [trial for trial in trials if BESIDE in trial.user_attrs]
        generations = [trial for trial in trials if BESIDE not in trial.user_attrs]
        best = max(beside, key=lambda trial: trial.values[0], default=None)
        size = len(self._space)
        state = cmaes.CMA(
            mean=np.full(size, 0.5) if best is None else self._place(best),
            sigma=_WIDTH,
            bounds=np.tile([0.0, 1.0], (size, 1)),
            seed=self._seed,
        )
        for first in range(0, len(generations), state.population_size):
            generation = generations[first : first + state.population_size]
            if len(generation) == state.population_size:
                state.tell([(self._place(trial), -trial.values[0]) for trial in generation])
        chosen = zip(self._space.items(), state.ask(), strict=True)
        return {key: axis.value(float(share)) for (key, axis), share in chosen}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a value at random; Optuna asks for values of parameters that are not in the space."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _place(self, trial: FrozenTrial) -> np.ndarray:
        return np.array([axis.share(trial.params[key]) for key, axis in self._space.items()])


class _Axis:
    """A parameter on a scale from 0 to 1."""

    def __init__(self, distribution: BaseDistribution) -> None:
        if not isinstance(distribution, FloatDistribution | IntDistribution):
            msg = f"CMA-ES varies numbers, got {distribution}"
            raise TypeError(msg)
        self.distribution = distribution
        low, high = distribution.low, distribution.high
        self._low, self._high = (math.log(low), math.log(high)) if distribution.log else (low, high)

    def share(self, value: float) -> float:
        position = math.log(value) if self.distribution.log else value
        return (position - self._low) / (self._high - self._low) if self._high > self._low else 0.5

    def value(self, share: float) -> float | int:
        position = self._low + share * (self._high - self._low)
        value = math.exp(position) if self.distribution.log else position
        step = self.distribution.step
        if step is not None:
            low = self.distribution.low
            value = low + round((value - low) / step) * step
        value = min(max(value, self.distribution.low), self.distribution.high)
        return round(value) if isinstance(self.distribution, IntDistribution) else value
