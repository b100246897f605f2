"""What commands take that only look at stored fits, from 1,000 to 100,000 of them.

    python benchmarks/many_stored.py                      10,000 and 100,000 fits of 12x12 pixels
    python benchmarks/many_stored.py --sync 1000 2000     with a sync into a new MLflow database

Nothing is trained, see `many_fits`. Each command is a process of its own; times are of the processor,
so that others on the machine are not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import many_fits

COMMANDS = {
    "studies": ["studies"],
    "studies STUDY": ["studies", "many"],
    "cache": ["cache"],
    "report (table and answer)": ["report", "many", "-f", "md", "--no-diagnostics"],
    "study, all fits stored": ["study", "many.toml", "--tracking", "none", "--quiet"],
}


def measured(words: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return seconds of the processor and its most memory in MB."""
    process = subprocess.Popen(
        [sys.executable, "-m", "n2n_ablate", *words, "--output", "out"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, words
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--sync", type=int, nargs="*", default=[])
    asked = parser.parse_args()
    print("| fits | command | processor, s | memory, MB |\n|---|---|---|---|")
    for fits in sorted({*asked.fits, *asked.sync}):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            filling = multiprocessing.Process(target=many_fits.fill, args=(folder, fits, 12))
            filling.start()
            filling.join()
            measured(COMMANDS["study, all fits stored"], folder)  # writes the journal
            commands = COMMANDS if fits in asked.fits else {}
            for told, words in (
                commands | ({"sync": ["sync"]} if fits in asked.sync else {})
            ).items():
                seconds, memory = measured(words, folder)
                print(f"| {fits:,} | {told} | {seconds:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
