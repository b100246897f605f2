"""Every installed sampler keeps its promises, at every extreme of its parameters."""

import pytest

from n2n_ablate.registry import Registry
from n2n_ablate.testing import SamplerContract
from n2n_ablate_plugins.pixel2pixel import PixelBank
from n2n_ablate_plugins.quad import Quad
from n2n_ablate_plugins.recorruption import Recorruption
from n2n_ablate_plugins.schedule import Schedule
from n2n_ablate_plugins.stripe import Stripe
from n2n_ablate_plugins.zs_n2n import Diagonal, EdgeWeighted

SAMPLERS = [entry for entry in Registry() if entry.kind == "sampler"]

for entry in SAMPLERS:
    name = f"Test_{entry.name}"
    body = {"sampler": entry.factory(), "__test__": True}
    globals()[name] = type(name, (SamplerContract,), body)

# Lists have no ends to try: schedules of samplers that declare something.
SCHEDULES = {
    "leaks-later": Schedule((Diagonal(), EdgeWeighted())),
    "leaks-at-times": Schedule((Diagonal(), EdgeWeighted(), Stripe()), order="turns"),
    "leaks-last": Schedule((Stripe(), PixelBank(window=8)), shares=(9.0, 1.0)),
    "four-views": Schedule((Quad("ring"), Quad("ring"))),
    "made-for": Schedule((Recorruption(), Recorruption(alpha=0.5))),
    "nested": Schedule((Diagonal(), Schedule((Stripe(), EdgeWeighted()), order="turns"))),
    "changes-gray": Schedule((Diagonal(), EdgeWeighted(divisor="text"))),
}
for name, schedule in SCHEDULES.items():
    body = {"sampler": schedule, "every_setting": False, "__test__": True}
    globals()[f"Test_schedule_{name}"] = type(f"Test_{name}", (SamplerContract,), body)


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


@pytest.mark.parametrize("entry", SAMPLERS, ids=lambda entry: entry.name)
def test_a_class_is_tested_at_every_setting(entry):
    """What the classes above are tested at is what `check` tries: the component is the factory's."""
    assert type(entry.factory()) is entry.factory
