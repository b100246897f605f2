"""What does a fit cost? Time against fits, steps, pixels and stack size; memory against its model.

    python benchmarks/cost.py --out docs/results/cost-cpu

Time should grow in a straight line with fits and steps, and memory as `n2n_ablate.engine.memory` says.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import statistics
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

import engine

from n2n_ablate.engine import Fit, Machine, fit_all, memory_of
from n2n_ablate.engine import machine as machine_of

Row = dict[str, object]


def fits_of(size: int, count: int, steps: int, machine: Machine) -> list[Fit]:
    bench = engine.bench_of(size, steps, machine)
    own = bench.fits(bench.plan.baseline.recipe)
    return [dataclasses.replace(own[i % len(own)], key=str(i), init_seed=i) for i in range(count)]


def seconds(fits: list[Fit], machine: Machine, rounds: int, threads: int = 1) -> float:
    def work() -> None:
        list(fit_all(fits, machine, points=1, threads=threads))

    work()
    return statistics.median(engine.timed(work, machine.device) for _ in range(rounds))


def growth(machine: Machine, rounds: int) -> list[Row]:
    """Double fits, steps and pixels, one at a time; seconds per unit should stay."""
    rows: list[Row] = []
    size, count, steps = 96, 4 if machine.type == "cpu" else 16, 20
    for factor in (1, 2, 4):
        for what, ask in (
            ("fits", (size, count * factor, steps)),
            ("steps", (size, count, steps * factor)),
            ("pixels", (int(size * factor**0.5), count, steps)),
        ):
            pixels, fits, each = ask[0] ** 2, ask[1], ask[2]
            took = seconds(fits_of(*ask, machine), machine, rounds)
            rows.append(
                {
                    "what": what,
                    "size": ask[0],
                    "fits": fits,
                    "steps": each,
                    "seconds": took,
                    "ns_per_pixel_step": 1e9 * took / (pixels * fits * each),
                }
            )
    return sorted(rows, key=lambda row: str(row["what"]))


def strategies(machine: Machine, rounds: int, sizes: list[int]) -> list[Row]:
    """Ways to compute the same fits: side by side, one after another, as one stacked network."""
    rows: list[Row] = []
    for size in sizes:
        fits = fits_of(size, 8, 20, machine)
        ways = [(f"stack of {n}", dataclasses.replace(machine, stack=n), 1) for n in (8, 4, 2)]
        if machine.type == "cpu":
            cores = machine.workers
            one = dataclasses.replace(machine, workers=1)
            ways = [
                (f"stack of {n}, {cores} threads", dataclasses.replace(one, stack=n), cores)
                for n in (8, 2)
            ]
            ways.append((f"one after another, {cores} threads", one, cores))
            ways.append((f"{cores} side by side, 1 thread each", machine, 1))
        else:
            ways.append(("one after another", dataclasses.replace(machine, stack=1), 1))
        for name, how, threads in ways:
            took = seconds(fits, how, rounds, threads)
            rows.append({"size": size, "way": name, "ms": 1e3 * took / len(fits) / 20})
    return rows


def alone(machine: Machine, rounds: int) -> list[Row]:
    """One fit that has the machine to itself: one thread and all, in turns."""
    rows: list[Row] = []
    for size, steps in ((96, 40), (128, 40), (192, 20), (256, 20)) if machine.type == "cpu" else ():
        fits = fits_of(size, 1, steps, machine)
        pairs = [
            [seconds(fits, machine, 1, threads) for threads in (1, machine.workers)]
            for _ in range(rounds)
        ]
        one, every = (
            1e3 * statistics.median(column) / steps for column in zip(*pairs, strict=True)
        )
        rows.append({"size": size, "threads": machine.workers, "ms_one": one, "ms_all": every})
    return rows


def enlarged(small: Fit, size: int) -> Fit:
    """Return the fit on an image of size x size pixels, made of repetitions of its own."""
    times = -(-size // small.noisy.shape[-1])
    image = small.noisy.repeat(1, 1, times, times)[..., :size, :size].contiguous()
    return dataclasses.replace(small, noisy=image, clean=image)


def memory(machine: Machine) -> list[Row]:
    rows: list[Row] = []
    if machine.type == "cuda":
        for size in (256, 512, 1024):
            (small,) = fits_of(256, 1, 3, machine)
            large = enlarged(small, size)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(machine.device)
            list(fit_all([large], machine, points=1))
            seen = torch.cuda.max_memory_allocated(machine.device)
            model = memory_of(small, machine).of(size * size)
            rows.append(
                {"size": size, "precision": machine.precision, "model": model, "seen": seen}
            )
        return rows
    for precision in dict.fromkeys((machine.precision, "fp32")):
        for size in (512, 768):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seen = pool.apply(_measured, (size, precision))
            own = machine_of("cpu", precision)
            model = memory_of(fits_of(96, 1, 3, own)[0], own).of(size * size)
            rows.append({"size": size, "precision": precision, "model": model, "seen": seen})
    return rows


def _measured(size: int, precision: str) -> int:
    """Return by how much the process grew at most; runs in a process of its own."""
    machine = machine_of("cpu", precision)
    large = enlarged(fits_of(256, 1, 3, machine)[0], size)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the highest so far
    before = _status("VmRSS")
    list(fit_all([large], machine, points=1))
    return _status("VmHWM") - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def markdown(report: Row) -> str:
    lines = ["# What does a fit cost?", ""]
    lines += ["Time of the engine, doubled and doubled again in one direction at a time.", ""]
    lines += [
        "| direction | size | fits | steps | seconds | ns per pixel and step |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['what']} | {row['size']} | {row['fits']} | {row['steps']} | {row['seconds']:.2f} | "
        f"{row['ns_per_pixel_step']:.0f} |"
        for row in report["growth"]
    ]
    lines += ["", "Ways to compute the same eight fits.", ""]
    lines += ["| size | way | ms per step and fit |", "|---|---|---|"]
    lines += [f"| {row['size']} | {row['way']} | {row['ms']:.2f} |" for row in report["strategies"]]
    if report["alone"]:
        lines += ["", "One fit that has the machine to itself.", ""]
        lines += ["| size | threads | ms per step | one thread / all |", "|---|---|---|---|"]
    for row in report["alone"]:
        lines.append(f"| {row['size']} | 1 | {row['ms_one']:.1f} | |")
        ratio = row["ms_one"] / row["ms_all"]
        lines.append(f"| {row['size']} | {row['threads']} | {row['ms_all']:.1f} | {ratio:.2f} |")
    lines += ["", "Peak memory of one fit beside what two small ones foretell.", ""]
    lines += ["| size | precision | model MB | seen MB | seen / model |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['size']} | {row['precision']} | {row['model'] / 1e6:.0f} | {row['seen'] / 1e6:.0f} | "
        f"{row['seen'] / row['model']:.2f} |"
        for row in report["memory"]
    ]
    about = f"{report['machine']}, {report['precision']}; torch {report['torch']}, Python {report['python']}."
    return "\n".join([*lines, "", about, "", f"Command: `{report['command']}`", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="path without ending for .json and .md")
    asked = parser.parse_args()
    machine = machine_of(asked.device)
    found = {
        **engine.about(machine),
        "growth": growth(machine, asked.rounds),
        "strategies": strategies(machine, asked.rounds, asked.sizes),
        "alone": alone(machine, asked.rounds),
        "memory": memory(machine),
    }
    engine.report(found, markdown, asked.out)


if __name__ == "__main__":
    main()
