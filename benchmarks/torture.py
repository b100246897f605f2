"""Kills a study again and again, and looks whether anything was lost, doubled or trained twice.

    python benchmarks/torture.py                            60 fits, 20 kills, both executors
    python benchmarks/torture.py --executor local --kills 5 --seed 3
    python benchmarks/torture.py --out docs/results/torture

A grid of 60 small fits runs in one process, and on a Ray cluster of three nodes on this machine. At
seeded moments, each after a fit that was stored since the kill before, a process is ended by
`kill -9`: a worker in the middle of a fit, a node with all its workers (another joins), the first
node, without which there is no cluster (a new one is started, and the same command given again), or
the process that coordinates the study (the same command is given again). At the end every fit must be
stored exactly once, no file that was there at a kill may have been written again, MLflow may have no
running run, each trial must have one line in the journal and one run, and the table must be that of a
study that nobody disturbed, digit by digit. If anything is not so, the status of this command is 1.
"""

from __future__ import annotations

import argparse
import collections
import os
import shlex
import sys
import tempfile
from pathlib import Path

from killing import EXECUTORS, KINDS, PER_TRIAL, Outcome, torture


def markdown(outcomes: list[Outcome]) -> str:
    lines = [
        (
            "| executor | fits | kills: workers, nodes, first nodes, coordinators "
            "| fewest new fits from kill to kill | commands | stored | lost | trained again | doubled "
            "| running runs | table as undisturbed | seconds |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for item in outcomes:
        count = collections.Counter(kill.victim for kill in item.kills)
        kills = ", ".join(str(count[victim]) for victim in KINDS)
        lines.append(
            f"| {item.executor} | {item.fits} | {kills} | {item.least} | {item.starts} | {item.stored} "
            f"| {item.fits - item.stored} | {item.again} | {item.doubled} | {item.running} "
            f"| {'yes' if item.same_table else 'no'} | {item.seconds:.0f} |"
        )
    return "\n".join(lines)


def page(outcomes: list[Outcome], command: str) -> str:
    one = outcomes[0]
    good = all(outcome.good for outcome in outcomes)
    return f"""# What does a study lose when it is killed?

{"Nothing that was finished." if good else "**More than is promised, or not all was tried.**"} A grid of
{one.fits} small fits of {one.steps} steps, and `kill -9` at {len(one.kills)} seeded moments: of workers in
the middle of a fit, of a node with its workers, of the first node, without which there is no cluster, of
the process that coordinates; then the same command again. A kill waits until a fit was stored since the one
before. Every figure from *lost* to *running runs* has to be 0.

{markdown(outcomes)}

*Trained again* counts fits that were stored at a kill and written once more; *running runs* are runs that
MLflow still shows as running; the table is compared digit by digit with that of a study that nobody
disturbed. Workers of one process are threads and cannot be killed alone. A cluster without its first node
is gone: the command ends, another cluster is started, and the same command goes on there.

{len(os.sched_getaffinity(0))} cores, load average over the last 15 minutes {os.getloadavg()[2]:.1f}.

Command: `{command}`; `make torture` does the same, after the other tests of this kind.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executor", choices=EXECUTORS, action="append")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=10, help="of 6 fits each")
    parser.add_argument("--steps", type=int, default=300, help="of each fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tracking", choices=("mlflow", "none"), default="mlflow")
    parser.add_argument("--out", type=Path, help="path without ending for .md")
    asked = parser.parse_args()
    if asked.kills > (most := (asked.trials * PER_TRIAL - 4) // 2):
        parser.error(f"--kills must be at most {most} with --trials {asked.trials}")
    outcomes = []
    for executor in asked.executor or EXECUTORS:
        with tempfile.TemporaryDirectory() as folder:
            outcome = torture(
                executor,
                Path(folder),
                kills=asked.kills,
                trials=asked.trials,
                steps=asked.steps,
                seed=asked.seed,
                tracking=asked.tracking,
            )
        outcomes.append(outcome)
        print(markdown(outcomes), flush=True)
    if asked.out:
        command = shlex.join(["python", *sys.argv])
        asked.out.with_suffix(".md").write_text(page(outcomes, command))
    sys.exit(not all(outcome.good for outcome in outcomes))


if __name__ == "__main__":
    main()
