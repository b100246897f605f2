"""Kill -9 at any moment loses nothing: the benchmark of that name, small here and whole when asked."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "torture.py"


@pytest.fixture(scope="module")
def torture():
    spec = importlib.util.spec_from_file_location("torture", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["torture"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def require_ray():
    pytest.importorskip("ray", reason="needs Ray: pip install 'n2n-ablate[ray]'")


def found(outcome):
    """Return what must be nought, by name."""
    return {
        "lost": outcome.fits - outcome.stored,
        "trained again": outcome.again,
        "doubled": outcome.doubled,
        "running": outcome.running,
        "failed": outcome.failures,
    }


@pytest.mark.timeout(400)
def test_a_study_that_is_killed_twice_is_finished_once(torture, tmp_path):
    outcome = torture.torture("local", tmp_path, kills=2, trials=2, steps=5, tracking="none")
    assert len(outcome.kills) == 2
    assert outcome.starts == 3
    assert not any(found(outcome).values()), found(outcome)
    assert outcome.same_table


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_sixty_fits_and_twenty_kills(torture, tmp_path, executor):
    if executor == "ray":
        require_ray()
    outcome = torture.torture(executor, tmp_path)
    assert len(outcome.kills) >= 15
    assert outcome.fits == 60
    assert not any(found(outcome).values()), found(outcome)
    assert outcome.same_table
