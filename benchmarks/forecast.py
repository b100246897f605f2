"""Is the time that `study` announces true? Announced against taken, whole studies.

    python benchmarks/forecast.py                                   the demonstrations, two minutes
    python benchmarks/forecast.py center-weight:quick --out docs/results/forecast

Each study runs in a process and an output folder of its own. What counts is the time from the
announcement to the end of the process: results printed, MLflow written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from n2n_ablate import engine

STUDIES = ("center-weight:demo", "samplers:demo", "networks:demo")
COLUMNS = ("study", "fits", "before, s", "announced, s", "taken, s", "announced / taken")


def one(study: str, profile: str, begun: float) -> None:
    """Run a study by the command in this process; print what it announced and took as JSON."""
    from n2n_ablate.cli import main
    from n2n_ablate.runner import estimate

    report: dict[str, float] = {}

    class Watched(estimate.Forecast):
        def __init__(self, *stages: estimate.Estimate | None, tracked: bool) -> None:
            super().__init__(*stages, tracked=tracked)
            report["at"] = time.time()
            report["announced"] = self.seconds
            report["fits"] = sum(stage.fits for stage in stages if stage)

    estimate.Forecast = Watched
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["n2n-ablate", "study", study, "--profile", profile, "--output", folder]
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise
        at = report.pop("at")
        report |= {"before": at - begun, "taken": time.time() - at}
        print(json.dumps(report), file=sys.stderr)


def row(name: str) -> tuple[str, ...]:
    """Run a study in a process of its own and return its row of the table."""
    study, _, profile = name.partition(":")
    command = [sys.executable, __file__, "--one", study, profile or "quick", str(time.time())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stderr.splitlines()[-1])
    ratio = report["announced"] / report["taken"]
    numbers = (report[key] for key in ("before", "announced", "taken"))
    return name, str(report["fits"]), *(f"{number:.1f}" for number in numbers), f"{ratio:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", default=STUDIES, metavar="STUDY:PROFILE")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="also written to OUT.md")
    options = parser.parse_args()
    if options.one:
        study, profile, begun = options.one
        one(study, profile, float(begun))
        return
    lines = ["# Is the announced time true?", "", "| " + " | ".join(COLUMNS) + " |"]
    lines.append("|---" * len(COLUMNS) + "|")
    for name in options.studies:
        lines.append("| " + " | ".join(row(name)) + " |")
        print(lines[-1], flush=True)
    machine = engine.machine("cpu")
    lines += ["", f"{machine.name}, {machine.computation}. *Before* is start-up and measuring."]
    lines += ["", "Command: `python benchmarks/forecast.py " + " ".join(sys.argv[1:]) + "`"]
    if options.out:
        options.out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
