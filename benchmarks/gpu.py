"""Everything that only a GPU can show, in one command: tests, speed, precision, cost, a whole study.

    python benchmarks/gpu.py                     writes docs/results/*-gpu.{json,md}
    python benchmarks/gpu.py --minutes 8         what fits into eight minutes, most important first

Needs torch, numpy and what `--tracking none` needs; no MLflow, no Optuna. Each part is a process of
its own, so one that fails or takes too long costs the others nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent


def parts(out: Path) -> list[tuple[str, list[str]]]:
    """Return the parts by name, the most important first."""
    own = sys.executable
    return [
        ("tests", [own, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu"]),
        (
            "speed at 256 px, 3000 steps",
            [
                own,
                str(HERE / "engine.py"),
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
                "--out",
                str(out / "engine-gpu"),
            ],
        ),
        (
            "speed by stack size",
            [
                own,
                str(HERE / "engine.py"),
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
                "--out",
                str(out / "stacks-gpu"),
            ],
        ),
        (
            "precision",
            [
                own,
                str(HERE / "precision.py"),
                "--size",
                "256",
                "--steps",
                "1000",
                "--out",
                str(out / "precision-gpu"),
            ],
        ),
        ("cost", [own, str(HERE / "cost.py"), "--out", str(out / "cost-gpu")]),
        (
            "a whole study",
            [
                own,
                "-m",
                "n2n_ablate",
                "study",
                "samplers",
                "--profile",
                "paper",
                "--tracking",
                "none",
                "--output",
                str(out / "study-gpu"),
                "--quiet",
            ],
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--minutes", type=float, default=60.0)
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    failed = []
    for name, command in parts(asked.out.resolve()):
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
    if failed:
        sys.exit(f"not finished: {', '.join(failed)}")


if __name__ == "__main__":
    main()
