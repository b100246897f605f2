"""Every installed component but the samplers keeps its promises, at every extreme of its parameters."""

import pytest

from n2n_ablate.registry import Registry
from n2n_ablate.testing import CONTRACTS

SLOW = ("gp",)  # a second per point
KINDS = [kind for kind in CONTRACTS if kind != "sampler"]

for entry in Registry():
    if entry.kind in KINDS:
        name = f"Test_{entry.kind}_{entry.name}"
        body = {entry.kind: entry.factory(), "__test__": True}
        if entry.name in SLOW:
            body["pytestmark"] = pytest.mark.slow
        globals()[name] = type(name, (CONTRACTS[entry.kind],), body)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_component(kind):
    """An empty registry would make this file pass without a test."""
    assert Registry().names(kind)
