"""What did each step of the engine buy? The plain loop, one change at a time, up to the engine.

    python benchmarks/ladder.py --out docs/results/ladder-avx2

Every rung trains the same four fits; rungs take turns, the median of the rounds counts. The ladder
stays in fp32; on a CPU that has instructions for bf16, `--precision bf16` climbs that one. To measure
as on a smaller CPU: `ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

sys.path.insert(0, str(Path(__file__).parent))

import engine
import plain

from n2n_ablate.engine import Machine, fit_all
from n2n_ablate.engine import machine as machine_of
from n2n_ablate.engine.device import cpu_way, has_bf16

FITS = 4


@dataclass(frozen=True)
class Rung:
    """What is done differently from the plain loop."""

    name: str
    channels_last: bool = False
    bf16: bool = False
    hoisted: bool = False
    fused: bool = False
    side_by_side: bool = False


PLAIN = Rung("the plain loop: fp32, channels first, all threads")
LAST_TWO = ("the engine, torch alone", "the engine, compiled kernel")


def rungs(precision: str) -> list[Rung]:
    """Return the rungs of a precision: channels last suits the kernels of bf16, not those of fp32."""
    found = [PLAIN]
    if precision == "bf16":
        found.append(replace(found[-1], name="channels last", channels_last=True))
        found.append(replace(found[-1], name="bf16", bf16=True))
    name = "views cut once, both in one pass, no wait per step"
    found.append(replace(found[-1], name=name, hoisted=True))
    found.append(replace(found[-1], name="one kernel for the optimiser", fused=True))
    name = "fits side by side, a thread each"
    return [*found, replace(found[-1], name=name, side_by_side=True)]


def loss_of(net: nn.Module, noisy: Tensor, views: Sequence[Tensor], rung: Rung) -> Tensor:
    y1, y2 = views if rung.hoisted else plain.pair(noisy)
    with torch.autocast("cpu", torch.bfloat16, enabled=rung.bf16):
        if rung.hoisted:
            n1, n2 = net(torch.cat([y1, y2])).float().chunk(2)
        else:
            n1, n2 = net(y1).float(), net(y2).float()
        whole = net(noisy).float()
    x1, x2 = y1 - n1, y2 - n2
    residual = (mse_loss(x1, y2) + mse_loss(x2, y1)) / 2
    d1, d2 = plain.pair(noisy - whole)
    return residual + (mse_loss(x1, d1) + mse_loss(x2, d2)) / 2


def train(noisy: Tensor, steps: int, rung: Rung) -> None:
    net = plain.network(noisy.shape[1])
    if rung.channels_last:
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=rung.fused or None)
    views = [view.clone() for view in plain.pair(noisy)]
    for _ in range(steps):
        loss = loss_of(net, noisy, views, rung)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if not rung.hoisted:
            loss.item()


def climb(rung: Rung, images: Sequence[Tensor], steps: int, threads: int) -> None:
    if not rung.side_by_side:
        torch.set_num_threads(threads)
        for image in images:
            train(image, steps, rung)
        return
    with ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1)) as pool:
        list(pool.map(lambda image: train(image, steps, rung), images))


def measure(size: int, steps: int, rounds: int, machine: Machine) -> list[dict[str, object]]:
    bench = engine.bench_of(size, steps, machine)
    fits = bench.fits(bench.plan.baseline.recipe)[:FITS]
    images = [one.noisy for one in fits]
    threads = torch.get_num_threads()
    work: list[tuple[str, Callable[[], object]]] = [
        (rung.name, lambda rung=rung: climb(rung, images, steps, threads))
        for rung in rungs(machine.precision)
    ]
    for name, compiled in zip(LAST_TWO, (False, True), strict=True):
        if machine.way == "kernel" or not compiled:
            way = replace(machine, way=cpu_way(machine.precision, compiled=compiled))
            work.append((name, lambda way=way: list(fit_all(fits, way, points=1))))
    times: dict[str, list[float]] = {name: [] for name, _ in work}
    for turn in range(rounds + 1):
        for name, run in work:
            seconds = engine.timed(run, "cpu") / FITS / steps
            if turn:  # the first turn chooses and builds kernels
                times[name].append(seconds)
    first = statistics.median(times[PLAIN.name])
    found, before = [], first
    for name, own in times.items():
        middle = statistics.median(own)
        row = {"size": size, "rung": name, "ms": 1e3 * middle}
        found.append({**row, "step": before / middle, "ratio": first / middle})
        before = middle
    return found


def markdown(report: dict[str, object]) -> str:
    lines = [
        "# What did each step of the engine buy?",
        "",
        (
            "Milliseconds per step and fit, one change after another; the median of rounds in which "
            "all rungs took turns."
        ),
        "",
        "| size | rung | ms | against the rung before | against the plain loop |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['size']} | {row['rung']} | {row['ms']:.1f} | {row['step']:.2f} | {row['ratio']:.2f} |"
        for row in report["rows"]
    ]
    about = f"{report['machine']}, {report['precision']}, {report['way']}; torch {report['torch']}, Python {report['python']}."
    return "\n".join([*lines, "", about, "", f"Command: `{report['command']}`", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 256])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--out", type=Path, help="path without ending for .json and .md")
    asked = parser.parse_args()
    machine = machine_of("cpu", asked.precision)
    if asked.precision == "bf16" and not has_bf16():
        sys.exit(
            "this CPU has no instructions for bf16: it would emulate them. Use --precision fp32."
        )
    report = {
        **engine.about(machine),
        "way": engine.way_of(machine),
        "rows": [
            row for size in asked.sizes for row in measure(size, asked.steps, asked.rounds, machine)
        ],
    }
    engine.report(report, markdown, asked.out)


if __name__ == "__main__":
    main()
