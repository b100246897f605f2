"""Fits per hour of the engine against the plain loop: same work, same machine, one process.

    python benchmarks/engine.py                          every size, on the device that is there
    python benchmarks/engine.py --sizes 96 --rounds 3    quicker
    python benchmarks/engine.py --out docs/results/engine-cpu

The plain loop (fp32, torch's threads) and every way of computing that this machine has take turns, so
that a busy machine hurts all alike; the median of the rounds counts. Nothing is emulated: a CPU without
bf16 instructions has no row for bf16. To measure as on a smaller CPU, torch alone:
`ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2`. Writes JSON and a Markdown table with the machine,
the versions and the command.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

import plain

from n2n_ablate import engine, study
from n2n_ablate.engine import Fit, Machine, fit_all
from n2n_ablate.engine.device import arithmetic, cpu_way, has_bf16
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.stacking import WAYS
from n2n_ablate.registry import Registry

CHANNELS, WIDTH = 3, 48
PER_PIXEL = CHANNELS * WIDTH * 9 + WIDTH * WIDTH * 9 + WIDTH * CHANNELS  # multiplications, forward


def operations(size: int) -> float:
    """Return floating-point operations of one step: three passes forward, twice that backward.

    The gradient of the input image is not needed, which spares a third of the first layer.
    """
    pixels = size * size * 1.5
    return 2 * pixels * (3 * PER_PIXEL - CHANNELS * WIDTH * 9)


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def timed(work: Callable[[], object], device: str) -> float:
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def peak(machine: Machine) -> float:
    """Return the best measured rate of a large matrix product in a precision, operations per second."""
    device, dtype = machine.device, torch.bfloat16 if machine.precision == "bf16" else torch.float32
    side = 8192 if machine.type == "cuda" else 2048
    first, second = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    with arithmetic(machine):
        times = [timed(lambda: first @ second, device) for _ in range(8)]
    return 2 * side**3 / min(times)


def ways(device: str, precision: str) -> list[Machine]:
    """Return this machine in every way of computing that it has; none that it would emulate.

    On a CPU: the compiled kernel, torch in fp32, torch in bf16 where there are instructions for it.
    On a GPU: tf32, bf16 and fp32.
    """
    first = engine.machine(device, precision)
    if precision != "auto" and first.type == "cuda":
        return [first]
    if first.type == "cuda":
        return [engine.machine(device, each) for each in ("tf32", "bf16", "fp32")]
    alone = {"auto": ["fp32", *(["bf16"] if has_bf16() else [])]}.get(precision, [precision])
    found = [
        dataclasses.replace(first, precision=each, way=cpu_way(each, compiled=False))
        for each in alone
    ]
    return [first, *found] if first.way == "kernel" else found


def way_of(machine: Machine) -> str:
    """Return how a machine computes, and on a CPU with which instructions."""
    if machine.type == "cuda":
        return machine.way
    return f"{machine.way}, {torch.backends.cpu.get_cpu_capability()}"


def bench_of(size: int, steps: int, machine: Machine) -> PairedData:
    registry = Registry()
    asked = study.read(study.shipped()["samplers"])
    settings = [f"training.steps={steps}"]
    planned = study.plan(asked, registry, profile="official", settings=settings)
    profile = dataclasses.replace(planned.profile, crop=size)
    return PairedData(dataclasses.replace(planned, profile=profile), registry, machine)


def measure(
    size: int, count: int, steps: int, rounds: int, plain_fits: int, machines: Sequence[Machine]
) -> list[dict[str, object]]:
    """Time `count` fits of `steps` steps in every way, and a few with the plain loop, all in turns."""
    device = machines[0].device
    threads, runs = torch.get_num_threads(), []
    for machine in machines:
        bench = bench_of(size, steps, machine)
        images = bench.fits(bench.plan.baseline.recipe)
        runs.append(_engine_run(images, count, steps, machine))
    noisy = [one.noisy.to(device) for one in images[:plain_fits]]

    def reference() -> None:
        torch.set_num_threads(threads)
        for seed, image in enumerate(noisy):
            plain.denoise(image, steps=steps, seed=seed)

    plain.denoise(noisy[0], steps=min(100, steps), seed=0)
    mine: list[list[float]] = [[] for _ in runs]
    memory: list[float | None] = [None for _ in runs]
    theirs = []
    for _ in range(rounds):
        theirs.append(timed(reference, device) / len(noisy))
        for at, run in enumerate(runs):
            if machines[at].type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            mine[at].append(timed(run, device) / count)
            if machines[at].type == "cuda":
                memory[at] = torch.cuda.max_memory_allocated(device) / count
    other = statistics.median(theirs)
    return [
        {
            "size": size,
            "stack": count,
            "steps": steps,
            "precision": machine.precision,
            "way": way_of(machine),
            "plain_s_per_fit": other,
            "engine_s_per_fit": statistics.median(own),
            "ratio": other / statistics.median(own),
            "ratio_per_round": [b / a for a, b in zip(own, theirs, strict=True)],
            "operations_per_s": operations(size) * steps / statistics.median(own),
            "memory_per_fit": taken,
        }
        for machine, own, taken in zip(machines, mine, memory, strict=True)
    ]


def _engine_run(
    images: Sequence[Fit], count: int, steps: int, machine: Machine
) -> Callable[[], object]:
    """Return what trains `count` fits, after a shorter training that chooses and builds kernels."""
    fits = [
        dataclasses.replace(images[i % len(images)], key=str(i), init_seed=i) for i in range(count)
    ]
    stacked = dataclasses.replace(machine, stack=max(1, count if machine.type == "cuda" else 1))
    points = max(1, steps // 100)  # as dense as in the published preset: 30 in 3,000 steps
    warm = [
        dataclasses.replace(one, training=dataclasses.replace(one.training, steps=min(100, steps)))
        for one in fits
    ]
    list(fit_all(warm, stacked, points=1))
    return lambda: list(fit_all(fits, stacked, points=points))


def quality(size: int, steps: int, machine: Machine) -> dict[str, float]:
    """Return the mean PSNR of both over four images: speed must not cost quality."""
    bench = bench_of(size, steps, machine)
    fits = bench.fits(bench.plan.baseline.recipe)[:4]
    mine = [result.figures["psnr"] for result in fit_all(fits, machine)]
    theirs = []
    for sample, one in zip(bench.samples, fits, strict=False):
        image = plain.denoise(one.noisy.to(machine.device), steps=steps, seed=one.init_seed % 2**31)
        theirs.append(bench.measure(image.cpu(), sample)["psnr"])
    return {"steps": steps, "engine": statistics.mean(mine), "plain": statistics.mean(theirs)}


def markdown(report: dict[str, object]) -> str:
    lines = [
        "| size | fits | precision | way | plain s/fit | engine s/fit | ratio | rate GFLOP/s | share of its peak |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    peaks = report["peaks"]
    for row in report["rows"]:
        rate = row["operations_per_s"]
        lines.append(
            f"| {row['size']} | {row['stack']} | {row['precision']} | {row['way']} | "
            f"{row['plain_s_per_fit']:.3f} | {row['engine_s_per_fit']:.3f} | {row['ratio']:.2f} | "
            f"{rate / 1e9:.0f} | {rate / peaks[row['precision']]:.0%} |"
        )
    rates = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in peaks.items())
    about = (
        f"{report['machine']}, {report['precision']}; torch {report['torch']}, Python "
        f"{report['python']}; measured matrix product, GFLOP/s: {rates}.\n\n"
        f"PSNR after {report['quality']['steps']} steps, mean of 4 images: engine "
        f"{report['quality']['engine']:.3f} dB, plain loop {report['quality']['plain']:.3f} dB "
        f"(other initial weights).\n\nCommand: `{report['command']}`\n"
    )
    title = "# How fast is the engine against the plain loop?\n\n"
    intro = (
        "Seconds per fit of the published loop, written plainly (`benchmarks/plain.py`), and of the "
        "engine in every way of computing that the machine has, in turns in one process; medians. The "
        "rate counts the multiplications and additions of direct convolutions, forward and backward, "
        "so a kernel that needs fewer can exceed the peak of its precision.\n\n"
    )
    return title + intro + "\n".join(lines) + "\n\n" + about


def about(machine: Machine) -> dict[str, object]:
    """Return what every report says of how it was made."""
    return {
        "machine": machine.name,
        "precision": machine.precision,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "command": shlex.join(["python", *sys.argv]),
    }


def report(
    found: dict[str, object], words: Callable[[dict[str, object]], str], out: Path | None
) -> None:
    """Print a report and write it as JSON and Markdown, if a path is given."""
    print(words(found))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
        out.with_suffix(".md").write_text(words(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 128, 256])
    parser.add_argument("--stacks", type=int, nargs="+", help="fits at a time")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain-fits", type=int, default=2, help="fits of the plain loop a round")
    parser.add_argument("--quality-steps", type=int, default=500, help="of the comparison of PSNR")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, help="path without ending for .json and .md")
    parser.add_argument(
        "--convolutions", action="store_true", help="on a GPU: every way to convolve a stack"
    )
    asked = parser.parse_args()
    machine = engine.machine(asked.device, asked.precision)
    stacks = asked.stacks or ([1, 4, 16, 64] if machine.type == "cuda" else [6])
    machines = ways(asked.device, asked.precision)
    if asked.convolutions and machine.type == "cuda":
        machines = [dataclasses.replace(one, way=way) for one in machines for way in WAYS]
    peaks = {one.precision: peak(one) for one in machines}
    rows = [
        row
        for size in asked.sizes
        for count in stacks
        for row in measure(size, count, asked.steps, asked.rounds, asked.plain_fits, machines)
    ]
    found = {
        **about(machine),
        "peaks": peaks,
        "rows": rows,
        "quality": quality(min(asked.sizes), asked.quality_steps, machine),
    }
    report(found, markdown, asked.out)


if __name__ == "__main__":
    main()
