"""What commands take that only look at stored fits: 10,000 of them, then 100,000.

    python benchmarks/many_stored.py
    python benchmarks/many_stored.py --fits 1000 --sync      with a sync into a new MLflow database

Nothing is trained, see `many_fits`; the others are copies of a run: a journal with other keys, and links to
its files. Each command is a process of its own; times are of the processor, so that others on the machine
are not counted.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import many_fits

STUDY = ["study", "many.toml", "--tracking", "none", "--quiet"]
COMMANDS = {
    "`studies`": ["studies"],
    "`studies STUDY`": ["studies", "many"],
    "`cache`": ["cache"],
    "`study` of a run of 10,000, all fits stored": STUDY,  # then that run is the latest
    "`report` of a run of 10,000: table and answer": ["report", "many", "-f", "md", "--no-diagnostics", "-q"],
}  # fmt: skip


def measured(words: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return seconds of the processor and its most memory in MB."""
    process = subprocess.Popen(
        [sys.executable, "-m", "n2n_ablate", *words, "--output", "out"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, words
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def multiply(folder: Path, copies: int) -> None:
    """Add runs that look like the first one."""
    fits = folder / "out" / "fits"
    (journal,) = (folder / "out" / "studies" / "many").iterdir()
    text, files = journal.read_text(), sorted(fits.glob("*/*.safetensors"))
    for number in range(1, copies):
        names = {
            path.stem: hashlib.md5(f"{number}{path.stem}".encode()).hexdigest() for path in files
        }
        for path in files:
            new = fits / names[path.stem][:2] / f"{names[path.stem]}.safetensors"
            new.parent.mkdir(exist_ok=True)
            os.link(path, new)
        other = re.sub(r"[0-9a-f]{32}", lambda key, names=names: names.get(key[0], key[0]), text)
        journal.with_name(f"quick-{number:010}.jsonl").write_text(other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=10_000)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--sync", action="store_true", help="only that, of the first run")
    asked = parser.parse_args()
    print("| stored fits | command | processor, s | memory, MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filling = multiprocessing.Process(target=many_fits.fill, args=(folder, asked.fits, 12))
        filling.start()
        filling.join()
        measured(STUDY, folder)  # writes the journal
        for copies in (1,) if asked.sync else (1, asked.copies):
            if copies > 1:
                multiply(folder, copies)
            for told, words in ({"`sync`": ["sync"]} if asked.sync else COMMANDS).items():
                seconds, memory = measured(words, folder)
                print(
                    f"| {copies * asked.fits:,} | {told} | {seconds:.1f} | {memory:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
