"""Every installed component but the samplers keeps the promises of its kind."""

import pytest

from n2n_ablate.registry import Registry
from n2n_ablate.testing import (
    BackboneContract,
    EstimatorContract,
    LossContract,
    MetricContract,
    NoiseContract,
    TrainingContract,
    name_of,
    settings_of,
)

CONTRACTS = {
    "noise": NoiseContract,
    "loss": LossContract,
    "backbone": BackboneContract,
    "metric": MetricContract,
    "training": TrainingContract,
    "estimator": EstimatorContract,
}

for entry in Registry():
    if contract := CONTRACTS.get(entry.kind):
        for setting in settings_of(entry.factory):
            component = entry.factory(**setting)
            name = f"Test_{entry.kind}_{name_of(entry.name, setting)}"
            body = {entry.kind: component, "__test__": True}
            if entry.kind == "noise":
                unclipped = not getattr(component, "clip", False)
                body["unbiased"] = getattr(component, "unbiased", unclipped)
            if entry.kind == "metric":
                body["full_reference"] = getattr(component, "full_reference", True)
            globals()[name] = type(name, (contract,), body)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_each_kind_has_a_component(kind):
    """An empty registry would make this file pass without a test."""
    assert Registry().names(kind)
