"""The fast precision costs no quality: the interval of the difference lies inside +-0.05 dB."""

import importlib.util
from pathlib import Path

import pytest

from n2n_ablate import engine

FILE = Path(__file__).parents[2] / "benchmarks" / "precision.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not engine.device.has_bf16(), reason="this CPU has no bf16 instructions")
def test_bf16_gives_the_psnr_of_fp32():
    spec = importlib.util.spec_from_file_location("precision", FILE)
    assert spec
    assert spec.loader
    precision = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(precision)
    row = precision.compare(engine.machine("cpu", "bf16"), 64, 300, 2, ["builtin"])
    assert row["pairs"] >= 12
    low, high = row["interval"]
    assert -0.05 < low < high < 0.05
