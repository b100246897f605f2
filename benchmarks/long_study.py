"""What a study of thousands of fits takes while it goes on: memory, open files, threads.

    python benchmarks/long_study.py                     2,000 fits of 2 steps
    python benchmarks/long_study.py --fits 400 --tracking none

A plugin notes the figures of the process after every trial; nothing else differs from a study as a
user runs it. If memory still grows by more than 16 MB over the second half, or if files or threads
grow, the status of this command is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PER_TRIAL = 8
MOST = 16.0
"""MB that memory may grow by over the second half of a study."""
STUDY = """
name = "long"
question = "Does it grow?"
design = "grid"

[baseline]
sampler = {{ name = "three-by-three", center = 0.01 }}
backbone = {{ name = "zs-n2n", width = 4 }}
loss = "residual-consistency"
training = "adam"

[[conditions]]
noise = {{ name = "gaussian", sigma = 25.0 }}
label = "sigma 25"

[factors]
"sampler.center" = {centers}

[profiles.quick]
images = ["builtin:astronaut", "builtin:coffee", "builtin:chelsea", "builtin:rocket"]
crop = 12
seeds = [0, 1]
set = {{ "training.steps" = 2 }}
"""
WATCH = """
import json, os, threading
from pathlib import Path

from n2n_ablate import hookimpl

PAGE = os.sysconf("SC_PAGE_SIZE")


@hookimpl
def trial_finished(result, so_far, samples):
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6
    seen = [memory, len(os.listdir("/proc/self/fd")), threading.active_count()]
    with open("seen.jsonl", "a") as file:
        file.write(json.dumps(seen) + chr(10))
"""


def watched(folder: Path, fits: int, tracking: str) -> list[list[float]]:
    """Run the study; return MB of memory, open files and threads after every trial."""
    count = fits // PER_TRIAL
    centers = [round(0.01 + 0.4 * place / count, 6) for place in range(count)]
    (folder / "plugins").mkdir()
    (folder / "plugins" / "watch.py").write_text(WATCH)
    (folder / "long.toml").write_text(STUDY.format(centers=centers))
    words = ["study", "long.toml", "--quiet", "--tracking", tracking, "--device", "cpu"]
    subprocess.run(
        [sys.executable, "-m", "n2n_ablate", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return [json.loads(line) for line in (folder / "seen.jsonl").read_text().splitlines()]


def growth(seen: list[list[float]]) -> list[float]:
    """Return by how much each figure grew from the middle of a study to its end."""
    tail = max(1, len(seen) // 20)
    middle, end = seen[len(seen) // 2 - tail : len(seen) // 2], seen[-tail:]
    return [max(row[column] for row in end) - max(row[column] for row in middle)
            for column in range(3)]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=2000)
    parser.add_argument("--tracking", choices=("mlflow", "none"), default="mlflow")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = watched(Path(folder), asked.fits, asked.tracking)
    print("| fits | memory, MB | open files | threads |\n|---|---|---|---|")
    for place in sorted({0, *(len(seen) * part // 10 for part in range(1, 10)), len(seen) - 1}):
        memory, files, threads = seen[place]
        print(f"| {(place + 1) * PER_TRIAL:,} | {memory:.0f} | {files} | {threads} |")
    memory, files, threads = growth(seen)
    sys.exit(memory > MOST or files > 0 or threads > 0)


if __name__ == "__main__":
    main()
