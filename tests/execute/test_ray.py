"""The Ray executor against the one in this process: equal results, and workers that die."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from n2n_ablate import engine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.execute.process_reaper import followed, running
from n2n_ablate.registry import Registry
from n2n_ablate.study import plan, read

pytest.importorskip("ray", reason="needs Ray: pip install 'n2n-ablate[ray]'")
pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

EXACT = engine.Machine("cpu", "fp32", 2, 1, "test")
# Kills the worker that draws with it, as often as there are marks to remove; elsewhere it works. A worker
# that has loaded it has memory for one fit.
FATAL = '''
"""Rows, and death."""

import os
import sys
from pathlib import Path

import torch

from n2n_ablate import hookimpl
from n2n_ablate.engine import pool

MARKS = Path({marks!r})
TRAIN = pool.train


def one(stack, *rest, **options):
    if len(stack) > 1:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return TRAIN(stack, *rest, **options)


if "default_worker" in sys.argv[0]:
    pool.train = one


class Fatal:
    """Even rows against odd rows."""

    def draw(self, image, rng):
        if "default_worker" in sys.argv[0]:
            for mark in sorted(MARKS.iterdir()):
                try:
                    mark.unlink()
                except FileNotFoundError:  # another worker took it in the same moment
                    continue
                os.kill(os.getpid(), 9)
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


@hookimpl
def register_samplers(register):
    register("fatal", Fatal)
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    (folder / "plugins").mkdir()
    (folder / "marks").mkdir()
    (folder / "plugins" / "fatal.py").write_text(FATAL.format(marks=str(folder / "marks")))
    return folder


@pytest.fixture(scope="module")
def components(place):
    return Registry(plugins_dir=place / "plugins")


@pytest.fixture(scope="module")
def executor(components):
    from n2n_ablate.execute.ray import Ray

    before = signal.getsignal(signal.SIGTERM)
    with Ray(EXACT, components) as opened:
        assert signal.getsignal(signal.SIGTERM) == before
        yield opened
    assert not ours("raylet")


def ours(name, parent=None):
    """Return the processes of this name that this one, or another, started."""
    done = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(parent or os.getpid())],
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in done.stdout.splitlines() if name in line and "defunct" not in line]


def fits_of(bench, sampler):
    recipe = bench.plan.baseline.recipe.replace("sampler", sampler)
    return bench.fits(recipe.resolved(bench._registry))


@pytest.fixture
def bench(tiny, components):
    settings = ["training.steps=3", "backbone.width=4"]
    return PairedData(plan(read(tiny), components, settings=settings), components, EXACT)


def test_a_worker_gives_the_same_bits(bench, executor):
    fits, points, notes = fits_of(bench, "diagonal"), [], []
    theirs = {item.key: item for item in executor.run(fits, points.append, notes.append)}
    ours = list(engine.fit_all(fits, EXACT))
    assert {item.key for item in ours} == set(theirs)
    for result in ours:
        other = theirs[result.key]
        assert result.figures == other.figures
        assert np.array_equal(result.denoised, other.denoised)
        assert np.array_equal(result.curves["loss"], other.curves["loss"])
    assert {point.key for point in points} == set(theirs)
    assert {point.step for point in points} == {3}
    assert notes == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_cluster_of_ones_own_knows_the_loopback_only_and_reports_to_nobody(bench, executor):
    list(executor.run(fits_of(bench, "diagonal"), lambda _: None, lambda _: None))  # with workers
    (raylet,) = ours("raylet/raylet")
    everyone = followed({os.getpid(): running()[os.getpid()][1]})
    done = subprocess.run(["ss", "-Htunap"], capture_output=True, text=True, check=True)
    seen = set()
    for line in done.stdout.splitlines():
        own = {int(found) for found in re.findall(r"pid=(\d+)", line)} & set(everyone)
        if own:
            seen |= own
            words = line.split()
            for address in words[4:5] + [words[5]] * (words[1] not in ("LISTEN", "UNCONN")):
                assert re.match(r"(127\.|\[::ffff:127\.|\[::1\])", address), line
    if not seen:
        pytest.skip("ss does not name processes here")
    assert int(raylet.split()[0]) in seen
    told = [process for process in everyone if silenced(process)]
    assert len(told) >= 3  # the first node's services, the raylet, and what would report


def silenced(process):
    """Say whether a process was told not to report; one that names itself hides what it was told."""
    folder = Path(f"/proc/{process}")
    environment = (folder / "environ").read_bytes().split(b"\0")
    line = (folder / "cmdline").read_bytes()
    found = b"RAY_USAGE_STATS_ENABLED=0" in environment
    ray = b"/ray/" in line.split(b"\0")[0] or b"/ray/dashboard/" in line
    assert found or not ray, line
    return found


def test_a_fit_whose_worker_dies_is_trained_again(bench, executor, place):
    (place / "marks" / "1").touch()
    notes = []
    found = list(executor.run(fits_of(bench, "fatal"), lambda _: None, notes.append))
    assert [item.failure for item in found] == ["", ""]
    assert notes == ["a fit lost its worker, which died; it is trained again (1 of 3 times)"]


@pytest.mark.slow
def test_a_fit_that_kills_every_worker_is_given_up(bench, executor, place):
    for mark in range(100):
        (place / "marks" / f"{mark:03}").touch()
    notes = []
    lost = list(executor.run(fits_of(bench, "fatal")[:1], lambda _: None, notes.append))
    deaths = 100 - len(list((place / "marks").iterdir()))
    for mark in (place / "marks").iterdir():
        mark.unlink()
    assert deaths == 4
    assert [(item.failure, item.passing) for item in lost] == [
        ("lost its worker, which died, 4 times", True)
    ]
    assert notes == [
        f"a fit lost its worker, which died; it is trained again ({again} of 3 times)"
        for again in (1, 2, 3)
    ]
    # Neither the others nor the next command suffer for it.
    found = list(executor.run(fits_of(bench, "fatal"), lambda _: None, lambda _: None))
    assert [item.failure for item in found] == ["", ""]


def test_what_one_worker_learned_of_memory_the_next_are_told(bench, executor, monkeypatch):
    monkeypatch.setattr(executor, "_machine", engine.Machine("cpu", "fp32", 1, 2, "test"))
    fits, notes = fits_of(bench, "diagonal"), []
    for _ in range(2):
        found = list(executor.run(fits, lambda _: None, notes.append))
        assert [item.failure for item in found] == ["", ""]
    assert notes == ["2 fits at once do not fit into the memory of test; going on with 1"]


def test_an_iterator_that_is_closed_ends_what_is_being_trained(bench, executor):
    settings = ["training.steps=100000", "backbone.width=4"]
    longer = PairedData(
        plan(read(bench.plan.study.path), bench._registry, settings=settings),
        bench._registry,
        EXACT,
    )
    quick = fits_of(bench, "diagonal")
    mixed = executor.run([*fits_of(longer, "diagonal")[:1], *quick], lambda _: None, lambda _: None)
    assert next(mixed).key in {item.key for item in quick}
    mixed.close()
    assert len(list(executor.run(quick, lambda _: None, lambda _: None))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_the_study_and_the_cluster_within_seconds(tiny, tmp_path, way):
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    words = ["study", str(tiny), "--tracking", "none", "--set", "training.steps=100000"]
    words += ["--executor", "ray"]
    process = subprocess.Popen(
        [sys.executable, "-c", f"{heed}from n2n_ablate.cli import main; main()", *words],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert "Does the centre matter?" in process.stderr.readline()
    assert "Ray on this machine" in process.stderr.readline()
    raylets = ours("raylet/raylet", process.pid)
    assert len(raylets) == 1
    start = time.monotonic()
    process.send_signal(way)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - start < 20
    assert process.returncode == 130
    assert "To resume, run:" in errors
    assert "Traceback" not in errors
    assert not Path(f"/proc/{raylets[0].split()[0]}").exists()
