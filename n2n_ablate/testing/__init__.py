"""Contract tests for plugin authors: subclass one, set the component, run pytest.

Needs pytest and hypothesis, which `pip install n2n-ablate[dev]` brings.
"""

from n2n_ablate.testing.backbones import BackboneContract
from n2n_ablate.testing.estimators import EstimatorContract
from n2n_ablate.testing.losses import LossContract, ToyScene
from n2n_ablate.testing.metrics import MetricContract
from n2n_ablate.testing.noises import NoiseContract
from n2n_ablate.testing.samplers import SamplerContract, picture, rng
from n2n_ablate.testing.settings import name_of, settings_of
from n2n_ablate.testing.trainings import TrainingContract

__all__ = [
    "BackboneContract",
    "EstimatorContract",
    "LossContract",
    "MetricContract",
    "NoiseContract",
    "SamplerContract",
    "ToyScene",
    "TrainingContract",
    "name_of",
    "picture",
    "rng",
    "settings_of",
]
