"""Does a fast way of computing cost quality? PSNR by it minus PSNR by torch in fp32, paired by image and seed.

    python benchmarks/precision.py                       16 pairs, on the device that is there
    python benchmarks/precision.py --out docs/results/precision-cpu

The interval over images (seeds averaged first) has to lie inside the bound of each way. A second
table says how much each way widens a contrast between two recipes: centre weight 0 against 0.01.
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
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.engine import Machine, fit_all
from n2n_ablate.engine import machine as machine_of
from n2n_ablate.engine.device import cpu_way, has_bf16
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.registry import Registry

BOUNDS = {"fp32 kernel": 0.02, "bf16": 0.05, "tf32": 0.05}  # dB
CENTRES = (0.0, 0.01)


class Psnr:
    """Trains recipes on the same noisy images, by any machine."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._registry = Registry()
        self._plan = study.plan(
            study.read(study.shipped()["center-weight"]),
            self._registry,
            profile="paper",
            settings=[f"training.steps={asked.steps}"],
            images=asked.images,
            crop=asked.size,
        )
        profile = dataclasses.replace(self._plan.profile, seeds=tuple(range(asked.seeds)))
        self._plan = dataclasses.replace(self._plan, profile=profile)

    def of(self, recipe: Recipe, machine: Machine) -> np.ndarray:
        """Return the PSNR of a recipe, (images, seeds)."""
        data = PairedData(self._plan, self._registry, machine)
        fits = data.fits(recipe)
        psnr = {result.key: result.figures["psnr"] for result in fit_all(fits, machine, points=1)}
        return np.array([psnr[one.key] for one in fits]).reshape(len(data.images), -1)

    def by(self, machine: Machine) -> dict[float, np.ndarray]:
        """Return the PSNR of each centre weight."""
        baseline = self._plan.baseline.recipe
        return {c: self.of(baseline.replace("sampler.center", c), machine) for c in CENTRES}

    def by_each(self, ways: dict[str, Machine]) -> list[dict[float, np.ndarray]]:
        """Return `by` for each way."""
        return [self.by(machine) for machine in ways.values()]


def interval(gaps: np.ndarray) -> tuple[float, float]:
    """Return mean and half of the 95 % t interval over images, seeds averaged first."""
    means = gaps.mean(axis=1)
    half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / len(means) ** 0.5
    return float(means.mean()), float(half)


def row(name: str, psnr: dict[float, np.ndarray], exact: dict[float, np.ndarray]) -> dict:
    gaps = psnr[CENTRES[1]] - exact[CENTRES[1]]
    mean, half = interval(gaps)
    contrast, wide = interval(psnr[CENTRES[0]] - psnr[CENTRES[1]])
    return {
        "way": name,
        "pairs": gaps.size,
        "mean": mean,
        "half": half,
        "largest": float(np.abs(gaps).max()),
        "bound": BOUNDS.get(name),
        "inside": name not in BOUNDS or abs(mean) + half < BOUNDS[name],
        "contrast": contrast,
        "contrast_half": wide,
    }


def markdown(report: dict) -> str:
    lines = [
        "# Does a fast way of computing cost quality?",
        "",
        "PSNR by each way minus PSNR by torch in fp32: same images, noise, initial weights and steps; 95 % t",
        "interval over images, seeds averaged first. It has to lie within the bound.",
        "",
        "| way | pairs | mean dB | 95 % CI | largest single | bound | within |",
        "|---|---|---|---|---|---|---|",
    ]
    others = [row for row in report["rows"] if row["bound"]]
    lines += [
        f"| {row['way']} | {row['pairs']} | {row['mean']:+.4f} | {row['mean'] - row['half']:+.4f} to "
        f"{row['mean'] + row['half']:+.4f} | {row['largest']:.3f} | ±{row['bound']} | "
        f"{'yes' if row['inside'] else 'no'} |"
        for row in others
    ]
    lines += [
        "",
        "Does rounding widen a contrast between recipes? Centre weight 0 minus 0.01, by each way:",
        "",
        "| way | mean dB | 95 % CI |",
        "|---|---|---|",
    ]
    lines += [
        f"| {row['way']} | {row['contrast']:+.4f} | ±{row['contrast_half']:.4f} |"
        for row in report["rows"]
    ]
    about = (
        f"{report['machine']}; {report['size']} pixels, {report['steps']} steps; "
        f"torch {report['torch']}, Python {report['python']}."
    )
    return "\n".join([*lines, "", about, "", f"Command: `{report['command']}`", ""])


def ways(device: str) -> dict[str, Machine]:
    """Return the ways that this device has; the first is what the others are compared with."""
    fast = machine_of(device, "fp32")
    if fast.type == "cuda":
        return {"fp32": fast} | {name: machine_of(device, name) for name in ("tf32", "bf16")}
    exact = dataclasses.replace(fast, way=cpu_way("fp32", compiled=False))
    compiled = {"fp32 kernel": fast} if fast.way == "kernel" else {}
    low = {"bf16": machine_of(device, "bf16")} if has_bf16() else {}  # else it would be emulated
    return {"fp32": exact, **compiled, **low}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--images", nargs="+", default=["builtin"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="path without ending for .json and .md")
    asked = parser.parse_args()
    psnr = Psnr(asked)
    known = ways(asked.device)
    outcomes = psnr.by_each(known)
    report = {
        **engine.about(machine_of(asked.device)),
        "size": asked.size,
        "steps": asked.steps,
        "rows": [row(name, each, outcomes[0]) for name, each in zip(known, outcomes, strict=True)],
    }
    engine.report(report, markdown, asked.out)


if __name__ == "__main__":
    main()
