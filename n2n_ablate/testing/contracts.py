"""The contract of each kind, and checking a component against it without pytest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n2n_ablate.components.torch_state import preserve_torch_state
from n2n_ablate.registry.entry import describe, place_of
from n2n_ablate.testing.backbones import BackboneContract
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.estimators import EstimatorContract
from n2n_ablate.testing.losses import LossContract
from n2n_ablate.testing.metrics import MetricContract
from n2n_ablate.testing.noises import NoiseContract
from n2n_ablate.testing.promise import BrokenPromiseError, NotTried, Promise, promises_of
from n2n_ablate.testing.samplers import SamplerContract
from n2n_ablate.testing.strategies import StrategyContract
from n2n_ablate.testing.trainings import TrainingContract

CONTRACTS: dict[str, type[Contract]] = {
    "noise": NoiseContract,
    "sampler": SamplerContract,
    "backbone": BackboneContract,
    "loss": LossContract,
    "training": TrainingContract,
    "estimator": EstimatorContract,
    "metric": MetricContract,
    "strategy": StrategyContract,
}
"""By kind."""

_MAIN = {
    "noise": "apply",
    "sampler": "draw",
    "backbone": "build",
    "loss": "__call__",
    "training": "optimizer",
    "estimator": "estimate",
    "metric": "measure",
    "strategy": "sampler",
}
"""The method to point at when a promise is broken without an error in the component's code."""


@dataclass(frozen=True)
class Broken:
    """A promise that a component does not keep."""

    promise: Promise  # which
    problem: str  # what happened instead
    where: str  # file and line of the component's code, as far as they are known


def case_of(kind: str, component: Any) -> type[Contract]:
    """Return the contract of a component, as it is now: make it before the component is used."""
    return type("Case", (CONTRACTS[kind],), {kind: component, "every_setting": False})


def broken_promise(case: type[Contract], promise: Promise) -> Broken | None:
    """Try one promise; return what is wrong, None if it is kept.

    Raises:
        NotTried: This machine cannot try it.
    """
    component = getattr(case, case.kind)
    try:
        with preserve_torch_state():  # so that one promise does not decide over the next
            getattr(case(), promise.name)()
    except NotTried:
        raise
    except BrokenPromiseError as error:
        return Broken(promise, str(error), where(case.kind, component))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a component may raise anything
        return Broken(promise, describe(error), where(case.kind, component, error))
    return None


def broken_promises(kind: str, component: Any) -> Iterator[Broken]:
    """Try every promise of a kind and yield those that the component does not keep.

    What this machine cannot try counts as kept.
    """
    case = case_of(kind, component)
    for promise in promises_of(CONTRACTS[kind]):
        with suppress(NotTried):
            if broken := broken_promise(case, promise):
                yield broken


def where(kind: str, component: Any, error: BaseException | None = None) -> str:
    """Return file and line: of the error if it came from the component's file, else of its method."""
    path = Path(place_of(component, kind, _MAIN[kind], error))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
