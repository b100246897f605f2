"""The tests of the packages in `examples/`, as their authors run them."""

import runpy
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def examples_in(package, file):
    folder = EXAMPLES / package
    sys.path.insert(0, str(folder / "src"))
    names = runpy.run_path(str(folder / "tests" / file))
    sys.path.remove(str(folder / "src"))
    wanted = ("test", "folder")
    return {name: item for name, item in names.items() if name.lower().startswith(wanted)}


globals().update(examples_in("n2n-ablate-hexagon", "test_hexagon.py"))
globals().update(examples_in("n2n-ablate-tensorboard", "test_tensorboard.py"))


def test_there_are_tests():
    assert "TestHexagon" in globals()
    assert "test_a_study_that_ran_without_it_is_told_again" in globals()
