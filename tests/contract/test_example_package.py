"""The tests of the package in `examples/`, as its author runs them."""

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "n2n-ablate-hexagon"

sys.path.insert(0, str(FOLDER / "src"))
found = runpy.run_path(str(FOLDER / "tests" / "test_hexagon.py"))
sys.path.remove(str(FOLDER / "src"))
globals().update({name: item for name, item in found.items() if name.lower().startswith("test")})


def test_there_are_tests():
    assert "TestHexagon" in found
