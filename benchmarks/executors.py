"""What an executor adds to a fit: the wall time of fits that take about 0, 1 and 10 seconds.

    python benchmarks/executors.py
    python benchmarks/executors.py --seconds 0 1 --fits 4 --out docs/results/executors

A fit's length is set by its number of steps, found by a trial in one thread. Fits are trained on one
worker, so that what is not training shows: the overhead is the wall time minus the training time that
the fits report, divided by their number. Ray is started before, and its first tasks, which start its
workers, are a row of their own.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from n2n_ablate import engine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.execute import Executor, Local
from n2n_ablate.execute.ray import Ray, ray
from n2n_ablate.registry import Registry
from n2n_ablate.study import plan, read

STUDY = """
name = "executors"
question = "What does an executor cost?"
design = "one-at-a-time"

[baseline]
sampler = "diagonal"
backbone = { name = "zs-n2n", width = 8 }
loss = "residual-consistency"
training = "adam"

[[conditions]]
noise = { name = "gaussian", sigma = 25.0 }
label = "sigma 25"

[factors]
sampler = { levels = ["stripe"] }

[profiles.quick]
images = ["builtin:astronaut"]
crop = 96
"""


@dataclass
class Row:
    executor: str
    what: str
    fits: int
    training: float
    wall: float

    @property
    def overhead(self) -> float:
        return (self.wall - self.training) / self.fits


def fits_of(folder: Path, registry: Registry, steps: int, count: int) -> list[engine.Fit]:
    (folder / "study.toml").write_text(STUDY)
    settings = [f"training.steps={steps}"]
    planned = plan(read(folder / "study.toml"), registry, settings=settings, seeds=count)
    bench = PairedData(planned, registry, machine())
    return bench.fits(planned.baseline.recipe)


def machine() -> engine.Machine:
    return engine.Machine("cpu", "fp32", 1, 1, "one thread")


def timed(executor: Executor, name: str, what: str, fits: Sequence[engine.Fit]) -> Row:
    start = time.perf_counter()
    results = list(executor.run(fits, lambda _: None, print))
    wall = time.perf_counter() - start
    assert not any(result.failure for result in results)
    return Row(name, what, len(fits), sum(result.seconds for result in results), wall)


def measured(seconds: Sequence[float], count: int) -> list[Row]:
    registry, rows = Registry(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        list(engine.fit_all(fits_of(folder, registry, 1, 1), machine()))  # imports
        (trial,) = engine.fit_all(fits_of(folder, registry, 40, 1), machine())
        steps = {length: max(1, round(length * 40 / trial.seconds)) for length in seconds}
        jobs = {length: fits_of(folder, registry, steps[length], count) for length in seconds}
        first = fits_of(folder, registry, 2, 1)
    with Local(machine()) as executor:
        rows += [timed(executor, "local", f"{length:g} s", jobs[length]) for length in seconds]
    begun = time.perf_counter()
    with Ray(machine(), registry, cpus=1) as executor:
        rows.append(Row("ray", "start of Ray", 1, 0.0, time.perf_counter() - begun))
        rows.append(timed(executor, "ray", "first fit", first))
        rows += [timed(executor, "ray", f"{length:g} s", jobs[length]) for length in seconds]
        begun = time.perf_counter()
    rows.append(Row("ray", "end of Ray", 1, 0.0, time.perf_counter() - begun))
    return rows


def markdown(rows: Sequence[Row], load: float, command: str) -> str:
    lines = [
        "# What does an executor add to a fit?\n",
        "Fits of one thread, one at a time; overhead is wall time without training, per fit.\n",
        "| executor | fits of | fits | training, s | wall, s | overhead per fit, s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.executor} | {row.what} | {row.fits} | {row.training:.2f} | {row.wall:.2f} "
        f"| {row.overhead:.3f} |"
        for row in rows
    ]
    about = (
        f"\n{len(os.sched_getaffinity(0))} cores; torch {torch.__version__}, Ray "
        f"{ray.__version__}, Python {platform.python_version()}. Load average over a minute at the "
        f"end: {load:.1f}; the machine may be shared with other work.\n\nCommand: `{command}`\n"
    )
    return "\n".join(lines) + "\n" + about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[0, 1, 10])
    parser.add_argument("--fits", type=int, default=4)
    parser.add_argument("--out", type=Path, help="path without ending for .md")
    asked = parser.parse_args()
    rows = measured(asked.seconds, asked.fits)
    page = markdown(rows, os.getloadavg()[0], shlex.join(["python", *sys.argv]))
    print(page)
    if asked.out:
        asked.out.with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
