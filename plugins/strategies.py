"""Search strategies of Optuna: TPE, a Gaussian process, a quasi-random sequence, random numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

from n2n_ablate import Range, Register, hookimpl

if TYPE_CHECKING:  # Optuna is imported when a search begins
    from optuna.samplers import BaseSampler

Startup = Annotated[int, Range(0, 1000)]


@dataclass(frozen=True)
class Tpe:
    """Densities of good and bad points, of all factors together (TPE: Bergstra et al., 2011).

    The default: it takes any factors, and pays from some ten trials on.

    Args:
        startup: How many trials, declared ones included, it must know before it stops choosing at
            random.
    """

    startup: Startup = 4

    def sampler(self, seed: int) -> BaseSampler:
        """See `n2n_ablate.Strategy.sampler`."""
        with _samplers() as samplers:
            return samplers.TPESampler(
                seed=seed, n_startup_trials=self.startup, multivariate=True, constant_liar=True
            )


@dataclass(frozen=True)
class GaussianProcess:
    """Where a Gaussian process expects the largest improvement (Snoek et al., 2012).

    For few trials and one to five numbers; a point takes about a second.

    Args:
        startup: How many trials, declared ones included, it must know before it stops choosing at
            random.
    """

    startup: Startup = 4

    def sampler(self, seed: int) -> BaseSampler:
        """See `n2n_ablate.Strategy.sampler`."""
        with _samplers() as samplers:
            return samplers.GPSampler(
                seed=seed, n_startup_trials=self.startup, warn_independent_sampling=False
            )


@dataclass(frozen=True)
class QuasiRandom:
    """A scrambled Sobol sequence: more even than random numbers (Bergstra and Bengio, 2012).

    It looks at no score, so a response curve over its points owes nothing to where it looked. The
    first point is random.
    """

    def sampler(self, seed: int) -> BaseSampler:
        """See `n2n_ablate.Strategy.sampler`."""
        with _samplers() as samplers:
            return samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)


@dataclass(frozen=True)
class AtRandom:
    """Points evenly at random, as a control (Bergstra and Bengio, 2012)."""

    def sampler(self, seed: int) -> BaseSampler:
        """See `n2n_ablate.Strategy.sampler`."""
        with _samplers() as samplers:
            return samplers.RandomSampler(seed=seed)


@contextmanager
def _samplers() -> Iterator[ModuleType]:
    """Import Optuna's samplers; inside, none of them warns that it is experimental."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield optuna.samplers


@hookimpl
def register_strategies(register: Register) -> None:
    """Register the strategies of this file."""
    register("tpe", Tpe)
    register("gp", GaussianProcess)
    register("qmc", QuasiRandom)
    register("random", AtRandom)
