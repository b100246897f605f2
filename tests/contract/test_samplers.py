"""Every installed sampler keeps its promises, at every extreme of its parameters."""

from n2n_ablate.registry import Registry
from n2n_ablate.testing import SamplerContract, name_of, settings_of

SAMPLERS = [entry for entry in Registry() if entry.kind == "sampler"]

for entry in SAMPLERS:
    for setting in settings_of(entry.factory):
        name = f"Test_{name_of(entry.name, setting)}"
        body = {"sampler": entry.factory(**setting), "__test__": True}
        globals()[name] = type(name, (SamplerContract,), body)


def test_the_samplers_of_the_note_are_among_them():
    """An empty registry would make this file pass without a test."""
    assert {entry.name for entry in SAMPLERS} >= {
        "diagonal",
        "edge-weighted",
        "three-by-three",
        "stripe",
        "max-avg-pool",
        "avg-stochastic-pool",
        "max-stochastic-pool",
    }
