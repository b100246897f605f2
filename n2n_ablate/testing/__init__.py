"""Contract tests for plugin authors: subclass one, set the component, run pytest.

pytest comes with `pip install n2n-ablate[testing]`. `n2n-ablate check` tries the same promises
without it.
"""

from n2n_ablate.testing.backbones import BackboneContract as BackboneContract
from n2n_ablate.testing.contract import name_of as name_of
from n2n_ablate.testing.contract import settings_of as settings_of
from n2n_ablate.testing.contracts import CONTRACTS as CONTRACTS
from n2n_ablate.testing.contracts import Broken as Broken
from n2n_ablate.testing.contracts import broken_promises as broken_promises
from n2n_ablate.testing.estimators import EstimatorContract as EstimatorContract
from n2n_ablate.testing.losses import LossContract as LossContract
from n2n_ablate.testing.losses import ToyLossContext as ToyLossContext
from n2n_ablate.testing.metrics import MetricContract as MetricContract
from n2n_ablate.testing.noises import NoiseContract as NoiseContract
from n2n_ablate.testing.promise import BrokenPromiseError as BrokenPromiseError
from n2n_ablate.testing.promise import NotTried as NotTried
from n2n_ablate.testing.promise import Promise as Promise
from n2n_ablate.testing.promise import picture as picture
from n2n_ablate.testing.promise import promises_of as promises_of
from n2n_ablate.testing.promise import require as require
from n2n_ablate.testing.promise import rng as rng
from n2n_ablate.testing.samplers import SamplerContract as SamplerContract
from n2n_ablate.testing.strategies import StrategyContract as StrategyContract
from n2n_ablate.testing.trainings import TrainingContract as TrainingContract
