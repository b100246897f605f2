"""The memory model: true within 20 %, and a large image is told before anything is trained."""

import dataclasses
import os
import subprocess
import sys

import pytest

from n2n_ablate import engine
from n2n_ablate.engine import memory
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import ImageError
from n2n_ablate.study import plan, read

MACHINE = engine.machine("cpu")


@pytest.fixture
def one(tiny, registry):
    planned = plan(read(tiny), registry, profile="other")
    return PairedData(planned, registry, MACHINE).fits(planned.baseline.recipe)[0]


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_what_a_large_fit_allocates_is_what_two_small_ones_foretell(one, precision):
    machine = engine.machine("cpu", precision)
    model = memory.memory_of(one, machine)
    peak = memory._peak(memory._tiled(one, 400), machine) + memory._uncounted(machine).fixed
    assert peak == pytest.approx(model.of(400 * 400), rel=0.2)


GROWTH = """
from pathlib import Path
from n2n_ablate import study
from n2n_ablate import engine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine import memory
from n2n_ablate.registry import Registry

registry, machine = Registry(), engine.machine("cpu", "fp32")
planned = study.plan(study.read(study.shipped()["center-weight"]), registry)
one = PairedData(planned, registry, machine).fits(planned.baseline.recipe)[0]
model = memory.memory_of(one, machine)
def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))

before = status("VmRSS")
for side in (256, 512, 768):
    large = memory._tiled(one, side)
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
    list(engine.fit_all([large], machine, points=1))
    print((status("VmHWM") - before) / model.of(side * side))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["on", "off"])
def test_the_process_grows_as_the_model_says(kernel):
    """In one process, one fit after the other, against what it took before the first."""
    environment = os.environ | ({"N2N_ABLATE_KERNEL": "off"} if kernel == "off" else {})
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], env=environment, capture_output=True, text=True, check=True
    )
    ratios = [float(line) for line in done.stdout.splitlines()]
    assert len(ratios) == 3
    assert all(0.8 < ratio < 1.2 for ratio in ratios), ratios


def test_an_image_too_large_for_the_memory_is_told_with_what_would_fit(one, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda _: 2_000_000_000)
    whole = one.noisy.repeat(1, 1, 200, 200)
    large = dataclasses.replace(one, noisy=whole, clean=None)
    with pytest.raises(
        ImageError, match=r"4800x4800 pixels takes about .* 2\.0 GB are free"
    ) as told:
        memory.require_room(large, MACHINE)
    side = int(str(told.value).partition("training.crop=")[2].partition(",")[0])
    assert side % 64 == 0
    fits = dataclasses.replace(large, training=dataclasses.replace(one.training, crop=side))
    memory.require_room(fits, MACHINE)
    model = memory.memory_of(fits, MACHINE)
    assert 0.5 * 2e9 < model.of(side * side) < 2e9


def test_free_memory_is_that_of_the_machine():
    assert 1e7 < memory.free_memory(MACHINE) < 1e14
