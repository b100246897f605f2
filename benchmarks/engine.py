"""Fits per hour of the engine against the plain loop: same work, same machine, one process.

    python benchmarks/engine.py                          every size, on the device that is there
    python benchmarks/engine.py --sizes 96 --rounds 3    quicker
    python benchmarks/engine.py --out docs/results/engine-cpu

Both take turns, so that a busy machine hurts both alike; the median of the rounds counts. Writes
JSON and a Markdown table with the machine, the versions and the command.
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
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

import plain

from n2n_ablate import engine, study
from n2n_ablate.engine import Machine, fit_all
from n2n_ablate.engine.paired_data import PairedData
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


def peak(dtype: torch.dtype, device: str, *, tf32: bool = False) -> float:
    """Return the best measured rate of a large matrix product, operations per second."""
    side = 8192 if device.startswith("cuda") else 2048
    torch.backends.cuda.matmul.allow_tf32 = tf32
    first, second = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    times = [timed(lambda: first @ second, device) for _ in range(8)]
    return 2 * side**3 / min(times)


def bench_of(size: int, steps: int, machine: Machine) -> PairedData:
    registry = Registry()
    asked = study.read(study.shipped()["samplers"])
    settings = [f"training.steps={steps}"]
    planned = study.plan(asked, registry, profile="official", settings=settings)
    profile = dataclasses.replace(planned.profile, crop=size)
    return PairedData(dataclasses.replace(planned, profile=profile), registry, machine)


def measure(
    size: int, count: int, steps: int, rounds: int, plain_fits: int, machine: Machine
) -> dict[str, object]:
    """Time `count` fits of `steps` steps with the engine and a few with the plain loop, in turns."""
    bench = bench_of(size, steps, machine)
    images = bench.fits(bench.plan.baseline.recipe)
    fits = [
        dataclasses.replace(images[i % len(images)], key=str(i), init_seed=i) for i in range(count)
    ]
    engine = dataclasses.replace(machine, stack=max(1, count if machine.type == "cuda" else 1))
    points = max(1, steps // 100)  # as dense as in the published preset: 30 in 3,000 steps
    noisy = [one.noisy.to(machine.device) for one in images[:plain_fits]]

    def ours() -> None:
        list(fit_all(fits, engine, points=points))

    def reference() -> None:
        for seed, image in enumerate(noisy):
            plain.denoise(image, steps=steps, seed=seed)

    threads = torch.get_num_threads()
    # The first passes choose and build kernels; a hundred steps are enough for that.
    warm = [
        dataclasses.replace(one, training=dataclasses.replace(one.training, steps=min(100, steps)))
        for one in fits
    ]
    list(fit_all(warm, engine, points=1))
    plain.denoise(noisy[0], steps=min(100, steps), seed=0)
    mine, theirs = [], []
    if machine.type == "cuda":
        torch.cuda.reset_peak_memory_stats(machine.device)
    for _ in range(rounds):
        mine.append(timed(ours, machine.device) / count)
        torch.set_num_threads(threads)
        theirs.append(timed(reference, machine.device) / len(noisy))
    memory = (
        torch.cuda.max_memory_allocated(machine.device) / count if machine.type == "cuda" else None
    )
    own, other = statistics.median(mine), statistics.median(theirs)
    return {
        "size": size,
        "stack": count,
        "steps": steps,
        "plain_s_per_fit": other,
        "engine_s_per_fit": own,
        "ratio": other / own,
        "ratio_per_round": [b / a for a, b in zip(mine, theirs, strict=True)],
        "operations_per_s": operations(size) * steps / own,
        "memory_per_fit": memory,
    }


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
        "| size | fits | plain s/fit | engine s/fit | ratio | rate GFLOP/s | share of bf16 peak |",
        "|---|---|---|---|---|---|---|",
    ]
    peaks = report["peaks"]
    for row in report["rows"]:
        rate = row["operations_per_s"]
        lines.append(
            f"| {row['size']} | {row['stack']} | {row['plain_s_per_fit']:.3f} | "
            f"{row['engine_s_per_fit']:.3f} | {row['ratio']:.2f} | {rate / 1e9:.0f} | "
            f"{rate / peaks['bf16']:.0%} |"
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
        "engine, in turns in one process; medians. The rate counts the multiplications and "
        "additions of the convolutions, forward and backward.\n\n"
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
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, help="path without ending for .json and .md")
    asked = parser.parse_args()
    machine = engine.machine(asked.device, asked.precision)
    stacks = asked.stacks or ([1, 4, 16, 64] if machine.type == "cuda" else [6])
    peaks = {
        "fp32": peak(torch.float32, machine.device),
        "bf16": peak(torch.bfloat16, machine.device),
    }
    if machine.type == "cuda":
        peaks["tf32"] = peak(torch.float32, machine.device, tf32=True)
    rows = [
        measure(size, count, asked.steps, asked.rounds, asked.plain_fits, machine)
        for size in asked.sizes
        for count in stacks
    ]
    found = {
        **about(machine),
        "peaks": peaks,
        "rows": rows,
        "quality": quality(min(asked.sizes), 500, machine),
    }
    report(found, markdown, asked.out)


if __name__ == "__main__":
    main()
