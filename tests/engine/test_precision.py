"""Fast ways of computing cost no quality: the interval of the difference in PSNR lies in its bound."""

import argparse
import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "precision.py"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_way_gives_the_psnr_of_torch_in_fp32():
    spec = importlib.util.spec_from_file_location("precision", FILE)
    assert spec
    assert spec.loader
    precision = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(precision)
    asked = argparse.Namespace(size=96, steps=500, seeds=2, images=["builtin"])
    ways = precision.ways("cpu")
    exact, *others = precision.Psnr(asked).by_each(ways)
    for name, psnr in zip(list(ways)[1:], others, strict=True):
        row = precision.row(name, psnr, exact)
        assert row["pairs"] >= 12
        assert row["inside"], row
