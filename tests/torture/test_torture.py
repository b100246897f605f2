"""Kill -9 at any moment loses nothing: the benchmark of that name, small here and whole when asked."""

import collections
import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "torture.py"


@pytest.fixture(scope="module")
def torture():
    sys.path.insert(0, str(FILE.parent))  # its own neighbours
    spec = importlib.util.spec_from_file_location("torture", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["torture"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(FILE.parent))


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


def killed(outcome):
    """Return how many of each kind were killed."""
    return collections.Counter(kill.victim for kill in outcome.kills)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_study_that_is_killed_twice_is_finished_once(torture, tmp_path):
    outcome = torture.torture("local", tmp_path, kills=2, trials=2, steps=150, tracking="none")
    assert killed(outcome) == {"coordinator": 2}
    assert outcome.least >= 1
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
    kinds = {"worker": 6, "node": 5, "first node": 3, "coordinator": 6}
    assert killed(outcome) == (kinds if executor == "ray" else {"coordinator": 20})
    assert outcome.least >= 1  # each met a study that had gone on since the one before
    assert outcome.fits == 60
    assert not any(found(outcome).values()), found(outcome)
    assert outcome.same_table
    assert outcome.good


def test_what_is_not_as_promised_is_said_on_the_page(torture):
    kill = sys.modules["killing"].Kill("coordinator", 3, 3)
    good = torture.Outcome("local", 6, 5, ["coordinator"], [kill], 2, 9.0, 6, same_table=True)
    assert good.good
    assert "Nothing that was finished." in torture.page([good], "command")
    for change in (
        {"kills": []},
        {"kills": [dataclasses.replace(kill, new=0)]},
        {"kills": [dataclasses.replace(kill, victim="worker")]},
        {"stored": 5},
        {"again": 1},
        {"running": 1},
        {"doubled": 1},
        {"failures": 1},
        {"same_table": False},
    ):
        bad = dataclasses.replace(good, **change)
        assert not bad.good, change
        assert "**More than is promised" in torture.page([good, bad], "command")
