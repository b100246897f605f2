"""Everything that only a GPU can show, in one command: tests, ways, precision, speed, cost, a study.

    python benchmarks/gpu.py                     writes docs/results/*-gpu.{json,md}
    python benchmarks/gpu.py --minutes 8         what fits into eight minutes, most important first

Compares the ways to convolve a stack on whole trainings and keeps the fastest for this card in the
user's cache; bf16 becomes the card's `auto` precision if it is faster and its PSNR interval against
fp32 lies inside the bound. Needs torch, numpy and what `--tracking none` needs; no MLflow, no Optuna.
Each part is a process of its own, so one that fails or takes too long costs the others nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
FASTER = 1.1  # from here on a precision is worth its rounding


def parts(out: Path) -> list[tuple[str, list[str], Callable[[Path], str] | None]]:
    """Return the parts, the most important first: name, command, and what to keep of its report."""
    own, engine = sys.executable, str(HERE / "engine.py")
    study = [own, "-m", "n2n_ablate", "study", "samplers", "--profile", "paper", "--quiet"]
    return [
        ("tests", [own, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu"], None),
        (
            "ways to convolve a stack",
            [
                own,
                engine,
                "--convolutions",
                "--out",
                str(out / "ways-gpu"),
                "--sizes",
                "96",
                "256",
                "--stacks",
                "64",
                "--steps",
                "60",
                "--rounds",
                "2",
                "--plain-fits",
                "1",
            ],
            keep_way,
        ),
        (
            "precision",
            [
                own,
                str(HERE / "precision.py"),
                "--out",
                str(out / "precision-gpu"),
                "--size",
                "256",
                "--steps",
                "1000",
            ],
            keep_precision,
        ),
        (
            "speed at 256 px, 3000 steps",
            [
                own,
                engine,
                "--out",
                str(out / "engine-gpu"),
                "--sizes",
                "256",
                "--steps",
                "3000",
                "--rounds",
                "1",
                "--stacks",
                "64",
                "--plain-fits",
                "1",
            ],
            None,
        ),
        (
            "speed by stack size",
            [
                own,
                engine,
                "--precision",
                "tf32",
                "--out",
                str(out / "stacks-gpu"),
                "--sizes",
                "96",
                "256",
                "--steps",
                "300",
                "--rounds",
                "3",
                "--stacks",
                "1",
                "4",
                "16",
                "64",
                "128",
                "256",
            ],
            None,
        ),
        ("cost", [own, str(HERE / "cost.py"), "--out", str(out / "cost-gpu")], None),
        ("a whole study", [*study, "--tracking", "none", "--output", str(out / "study-gpu")], None),
    ]


def best_way(rows: Sequence[Mapping[str, Any]], precision: str = "tf32") -> str:
    """Return the way that is fastest in a precision, by the geometric mean over sizes."""
    times: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["precision"] == precision:
            times[row["way"]].append(row["engine_s_per_fit"])
    return min(times, key=lambda way: statistics.geometric_mean(times[way]))


def best_precision(rows: Sequence[Mapping[str, Any]], inside: Mapping[str, bool]) -> str:
    """Return `bf16` if it is faster and rounds little enough, else `tf32`.

    Args:
        rows: Of the ways, see `best_way`.
        inside: Whether the interval against fp32 lies inside the bound, by precision.
    """
    fastest = {
        precision: min(
            statistics.geometric_mean(
                row["engine_s_per_fit"]
                for row in rows
                if row["precision"] == precision and row["way"] == way
            )
            for way in {row["way"] for row in rows}
        )
        for precision in ("tf32", "bf16")
    }
    faster = fastest["tf32"] / fastest["bf16"] > FASTER
    return "bf16" if faster and inside.get("bf16") else "tf32"


def keep_way(out: Path) -> str:
    """Keep the fastest way for this card; return what was kept."""
    report = json.loads((out / "ways-gpu.json").read_text())
    return _keep(report["machine"], way=best_way(report["rows"]))


def keep_precision(out: Path) -> str:
    """Keep the precision that `--precision auto` takes on this card; return what was kept."""
    rows = json.loads((out / "ways-gpu.json").read_text())["rows"]
    report = json.loads((out / "precision-gpu.json").read_text())
    inside = {row["way"]: row["inside"] for row in report["rows"]}
    precision = best_precision(rows, inside)
    return _keep(report["machine"], way=best_way(rows, precision), precision=precision)


def _keep(card: str, **choice: str) -> str:
    from n2n_ablate.engine.stacking import keep

    return ", ".join(f"{key} {value}" for key, value in keep(card, **choice).items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--minutes", type=float, default=60.0)
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    out, failed = asked.out.resolve(), []
    for name, command, keeps in parts(out):
        left = end - time.monotonic()
        start = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            code = subprocess.run(command, cwd=ROOT, timeout=max(1.0, left), check=False).returncode
        except subprocess.TimeoutExpired:
            code = 124
        print(f"== {name}: exit {code}, {time.monotonic() - start:.0f} s", flush=True)
        if code:
            failed.append(name)
        elif keeps:
            print(f"== kept for this card: {keeps(out)}", flush=True)
    if failed:
        sys.exit(f"not finished: {', '.join(failed)}")


if __name__ == "__main__":
    main()
