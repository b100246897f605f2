"""Ten thousand finished fits cost a study seconds to go on: the benchmark of that name."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "many_fits.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_finished_fits_add_less_than_three_seconds():
    spec = importlib.util.spec_from_file_location("many_fits", FILE)
    assert spec
    assert spec.loader
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    report = bench.measured(10_000, rounds=3)
    assert report["fits"] == 10_000
    # Of the processor: on the wall others on the machine would be counted too.
    assert report["added-cpu"] < bench.MOST
    assert report["reopened"]["reopen-cpu"] < bench.MOST
