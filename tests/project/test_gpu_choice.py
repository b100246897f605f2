"""What `benchmarks/gpu.py` picks for a card from its tables."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu_benchmark", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(way, precision, seconds, size=96):
    return {"way": way, "precision": precision, "engine_s_per_fit": seconds, "size": size}


ROWS = [
    row("channels-last", "tf32", 1.0),
    row("channels-last", "tf32", 9.0, 256),
    row("products", "tf32", 1.5),
    row("products", "tf32", 4.0, 256),
    row("channels-last", "bf16", 0.9),
    row("channels-last", "bf16", 1.0, 256),
    row("products", "bf16", 1.5),
    row("products", "bf16", 4.0, 256),
]


def test_the_way_is_the_fastest_over_all_sizes(gpu):
    assert gpu.best_way(ROWS) == "products"
    assert gpu.best_way(ROWS, "bf16") == "channels-last"


@pytest.mark.parametrize(
    ("inside", "precision"), [({"bf16": True}, "bf16"), ({"bf16": False}, "tf32"), ({}, "tf32")]
)
def test_bf16_is_taken_where_it_is_faster_and_near(gpu, inside, precision):
    assert gpu.best_precision(ROWS, inside) == precision
    slow = [entry | {"engine_s_per_fit": 5.0} for entry in ROWS]
    assert gpu.best_precision(slow, inside) == "tf32"


def test_every_part_is_a_script_that_is_there(gpu, tmp_path):
    for _, command, _ in gpu.parts(tmp_path):
        scripts = [word for word in command if word.endswith(".py")]
        assert all(Path(script).is_file() for script in scripts)
