"""Contract tests for plugin authors: subclass one, set the component, run pytest.

pytest comes with `pip install n2n-ablate[testing]`. `n2n-ablate check` tries the same promises
without it.
"""

from n2n_ablate.testing.backbones import BackboneContract
from n2n_ablate.testing.contracts import CONTRACTS, Broken, broken_promises
from n2n_ablate.testing.estimators import EstimatorContract
from n2n_ablate.testing.losses import LossContract, ToyLossContext
from n2n_ablate.testing.metrics import MetricContract
from n2n_ablate.testing.noises import NoiseContract
from n2n_ablate.testing.promise import (
    BrokenPromiseError,
    NotTried,
    Promise,
    picture,
    promises_of,
    require,
    rng,
)
from n2n_ablate.testing.samplers import SamplerContract
from n2n_ablate.testing.settings import name_of, settings_of
from n2n_ablate.testing.strategies import StrategyContract
from n2n_ablate.testing.trainings import TrainingContract

__all__ = [
    "CONTRACTS",
    "BackboneContract",
    "Broken",
    "BrokenPromiseError",
    "EstimatorContract",
    "LossContract",
    "MetricContract",
    "NoiseContract",
    "NotTried",
    "Promise",
    "SamplerContract",
    "StrategyContract",
    "ToyLossContext",
    "TrainingContract",
    "broken_promises",
    "name_of",
    "picture",
    "promises_of",
    "require",
    "rng",
    "settings_of",
]
