"""Does the fast precision cost quality? PSNR in it minus PSNR in fp32, paired by image and seed.

    python benchmarks/precision.py                       16 pairs, on the device that is there
    python benchmarks/precision.py --out docs/results/precision-cpu

The interval over images (seeds averaged first) has to lie inside +-0.05 dB.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

import engine

from n2n_ablate import study
from n2n_ablate.engine import Machine, fit_all
from n2n_ablate.engine import machine as machine_of
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.registry import Registry

BOUND = 0.05  # dB


def psnr(machine: Machine, size: int, steps: int, seeds: int, images: list[str]) -> np.ndarray:
    """Return the PSNR of the official preset, (images, seeds)."""
    registry = Registry()
    asked = study.read(study.shipped()["samplers"])
    planned = study.plan(
        asked,
        registry,
        profile="official",
        settings=[f"training.steps={steps}"],
        images=images,
        crop=size,
    )
    profile = dataclasses.replace(planned.profile, seeds=tuple(range(seeds)))
    bench = PairedData(dataclasses.replace(planned, profile=profile), registry, machine)
    fits = bench.fits(planned.baseline.recipe)
    found = {result.key: result.figures["psnr"] for result in fit_all(fits, machine, points=1)}
    return np.array([found[one.key] for one in fits]).reshape(len(bench.images), seeds)


def compare(
    fast: Machine, size: int, steps: int, seeds: int, images: list[str]
) -> dict[str, object]:
    exact = dataclasses.replace(fast, precision="fp32")
    gaps = psnr(fast, size, steps, seeds, images) - psnr(exact, size, steps, seeds, images)
    means = gaps.mean(axis=1)
    half = float(stats.t.ppf(0.975, len(means) - 1)) * means.std(ddof=1) / len(means) ** 0.5
    mean = float(means.mean())
    return {
        "precision": fast.precision,
        "size": size,
        "steps": steps,
        "pairs": gaps.size,
        "mean": mean,
        "interval": [mean - half, mean + half],
        "largest": float(np.abs(gaps).max()),
        "inside": bool(abs(mean) + half < BOUND),
    }


def markdown(report: dict[str, object]) -> str:
    lines = [
        "# Does the fast precision cost quality?",
        "",
        (
            "PSNR in the fast precision minus PSNR in fp32, same images, noise, weights at the start "
            f"and steps; t interval over images, seeds averaged first. It has to lie inside +-{BOUND} dB."
        ),
        "",
        "| precision | size | steps | pairs | mean dB | 95 % interval | largest single | inside |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        low, high = row["interval"]
        lines.append(
            f"| {row['precision']} | {row['size']} | {row['steps']} | {row['pairs']} | "
            f"{row['mean']:+.4f} | {low:+.4f} to {high:+.4f} | {row['largest']:.3f} | "
            f"{'yes' if row['inside'] else 'no'} |"
        )
    about = f"{report['machine']}; torch {report['torch']}, Python {report['python']}."
    return "\n".join([*lines, "", about, "", f"Command: `{report['command']}`", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--images", nargs="+", default=["builtin"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="path without ending for .json and .md")
    asked = parser.parse_args()
    first = machine_of(asked.device)
    ways = ["tf32", "bf16"] if first.type == "cuda" else ["bf16"]
    machines = [machine_of(asked.device, way) for way in ways]
    found = {
        **engine.about(first),
        "rows": [
            compare(machine, asked.size, asked.steps, asked.seeds, asked.images)
            for machine in machines
        ],
    }
    engine.report(found, markdown, asked.out)


if __name__ == "__main__":
    main()
