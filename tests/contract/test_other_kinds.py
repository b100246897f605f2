"""Every installed component but the samplers keeps the promises of its kind."""

import pytest

from n2n_ablate.registry import Registry
from n2n_ablate.testing import CONTRACTS, name_of, settings_of

KINDS = [kind for kind in CONTRACTS if kind != "sampler"]

for entry in Registry():
    if entry.kind in KINDS:
        for setting in settings_of(entry.factory):
            name = f"Test_{entry.kind}_{name_of(entry.name, setting)}"
            body = {entry.kind: entry.factory(**setting), "__test__": True}
            globals()[name] = type(name, (CONTRACTS[entry.kind],), body)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_component(kind):
    """An empty registry would make this file pass without a test."""
    assert Registry().names(kind)
