"""Every installed component keeps its promise of the GPU on a real one, at every extreme of its parameters.

pytest -m gpu tests/gpu
"""

import pytest

from n2n_ablate.components import KINDS
from n2n_ablate.registry import Registry
from n2n_ablate.testing import CONTRACTS, promises_of

pytestmark = pytest.mark.gpu

ON_A_GPU = {
    kind: promise.name
    for kind in KINDS
    for promise in promises_of(CONTRACTS[kind])
    if promise.name.endswith("_on_a_gpu")
}

CASES = [
    (case, name)
    for entry in Registry()
    if entry.kind in ON_A_GPU
    for case in [type(entry.name, (CONTRACTS[entry.kind],), {entry.kind: entry.factory()})]
    for name in dir(case)
    if name.startswith(ON_A_GPU[entry.kind])
]


@pytest.mark.parametrize(
    ("case", "name"), CASES, ids=[f"{case.kind}-{case.__name__}-{name}" for case, name in CASES]
)
def test_the_promise_of_the_gpu_is_kept_on_one(case, name):
    getattr(case(), name)()


def test_noise_and_strategies_stay_on_the_cpu():
    assert set(KINDS) - set(ON_A_GPU) == {"noise", "strategy"}
