"""What everything that is not training costs: stores, search, statistics, pictures, MLflow, start-up.

    python benchmarks/overhead.py                          two rounds of 8 trials, about 15 minutes
    python benchmarks/overhead.py --trials 3 --rounds 1    quicker
    python benchmarks/overhead.py --out docs/results/overhead

The same quick study runs with `--tracking none` and with MLflow in turns, each in a process and an
output folder of its own, so that a busy machine hurts both alike; medians of the rounds count. The
parts are measured by clocks around their functions, in wall time and in processor time: the latter
does not depend on what else the machine does. The share of the wall time counts what training waits
for; the share of the processor time counts that and what runs beside the training.
"""

from __future__ import annotations

import argparse
import collections
import functools
import io
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STUDY = "center-weight"
TRACKING = ("none", "mlflow")
START_UP = "start-up"
OPENING = "MLflow, its import and first opening"
WAITING = "waiting for MLflow at the end"


class Clocks:
    """Time per part, without the time of parts that it calls; beside the training and in its way."""

    def __init__(self) -> None:
        self.wall: collections.Counter[str] = collections.Counter()
        self.processor: collections.Counter[str] = collections.Counter()
        self.beside: collections.Counter[str] = collections.Counter()
        self._inner = threading.local()
        self._main = threading.main_thread()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        stack = self._inner.__dict__.setdefault("stack", [])
        stack.append((0.0, 0.0))
        before = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            whole = time.perf_counter() - before[0], time.thread_time() - before[1]
            inner = stack.pop()
            if threading.current_thread() is self._main:
                self.wall[name] += whole[0] - inner[0]
                self.processor[name] += whole[1] - inner[1]
            else:
                self.beside[name] += whole[1] - inner[1]
            if stack:
                stack[-1] = stack[-1][0] + whole[0], stack[-1][1] + whole[1]

    def watch(self, name: str, owner: object, *methods: str) -> None:
        for method in methods:
            setattr(owner, method, self._timed(name, getattr(owner, method)))

    def _timed(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def timed(*args: object, **kwargs: object) -> object:
            with self.part(name):
                return function(*args, **kwargs)

        return timed


def watched() -> Clocks:
    """Put clocks around everything that is not training."""
    from n2n_ablate.analysis import analyse
    from n2n_ablate.engine.paired_data import PairedData
    from n2n_ablate.report import live, tracker_files
    from n2n_ablate.runner import dispatcher as lifecycle
    from n2n_ablate.search.search import Search
    from n2n_ablate.storage.fit_store import FitStore
    from n2n_ablate.storage.journal_writer import Journal, Section
    from n2n_ablate.tracking.tracker import MlflowTracker

    clocks = Clocks()
    clocks.watch("fit store", FitStore, "save", "load")
    clocks.watch("journal", Section, "reference_methods", "add")
    clocks.watch("journal", Journal, "begin", "confirmation", "end")
    clocks.watch("search", Search, "ask", "tell", "know", "finished", "skip")
    clocks.watch("statistics and messages", analyse, "analyse")
    clocks.watch("statistics and messages", live.Plain, "trial_finished")
    clocks.watch("reference_methods", PairedData, "reference_methods")
    clocks.watch("components and keys", PairedData, "fits", "check")
    clocks.watch("pictures", tracker_files, "write_trial")
    clocks.watch("MLflow", MlflowTracker, "trial_finished", "study_finished")
    clocks.watch(OPENING, MlflowTracker, "study_started")
    clocks.watch(WAITING, lifecycle.HookDispatcher, "study_finished")
    return clocks


def one(tracking: str, trials: int, steps: int, folder: Path) -> dict[str, object]:
    """Run the study once in this process and return what it took."""
    begun = time.perf_counter()
    from rich.console import Console

    from n2n_ablate.analysis.analyse import to_json
    from n2n_ablate.report import live
    from n2n_ablate.runner.run import open_runner
    from n2n_ablate.runner.session import Request, RunOptions, open_session
    from n2n_ablate.storage.output import Output

    clocks = watched()
    settings = [f"training.steps={steps}"] if steps else []
    with clocks.part(START_UP):
        session = open_session(Request(STUDY, "quick", settings, trials, output=folder))
        audience = live.Plain(Console(file=io.StringIO()))
        runner = open_runner(session, Output(folder), audience, RunOptions(tracking=tracking))
    ready, before = time.perf_counter(), time.process_time()
    result = runner.run()
    with clocks.part("statistics and messages"):
        to_json(result, runner.paired_data.header())
    ended, after = time.perf_counter(), time.process_time()
    fits = sum(len(item.rows) for item in result.trials)
    clocks.wall[START_UP] = ready - begun
    return {
        "wall": ended - ready,
        "processor": after - before,
        "fits": fits,
        "machine": session.paired_data.machine.name,
        "precision": session.paired_data.machine.precision,
        "steps": session.paired_data.steps(session.plan.baseline.recipe),
        "in_the_way": dict(clocks.wall),
        "in_the_way_processor": dict(clocks.processor),
        "beside": dict(clocks.beside),
    }


def alone(*options: str) -> dict[str, object]:
    """Run `one` in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *options], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def seconds(command: list[str], count: int) -> dict[str, float]:
    """Return median and least seconds of a command, and the median of its processor time."""
    taken, processor = [], []
    for _ in range(count):
        start, before = time.perf_counter(), os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        taken.append(time.perf_counter() - start)
        processor.append(sum(after[2:4]) - sum(before[2:4]))
    return {
        "median": statistics.median(taken),
        "least": min(taken),
        "processor": statistics.median(processor),
    }


def summed(runs: list[dict[str, object]]) -> dict[str, object]:
    """Return medians over the rounds: seconds of each part, and what is not training as a share."""

    def medians(where: str) -> dict[str, float]:
        names = dict.fromkeys(name for run in runs for name in run[where])
        return {n: statistics.median(run[where].get(n, 0.0) for run in runs) for n in names}

    def counted(run: dict[str, object], where: str) -> float:
        return sum(value for name, value in run[where].items() if name not in (START_UP, OPENING))

    def processor(run: dict[str, object]) -> float:
        own = counted(run, "in_the_way_processor") + counted(run, "beside")
        return own / (run["processor"] - run["beside"].get(OPENING, 0.0))

    return {
        "wall": statistics.median(run["wall"] for run in runs),
        "walls": [run["wall"] for run in runs],
        "processor": statistics.median(run["processor"] for run in runs),
        "share_of_wall": statistics.median(counted(r, "in_the_way") / r["wall"] for r in runs),
        "share_of_processor": statistics.median(map(processor, runs)),
        **{where: medians(where) for where in ("in_the_way", "in_the_way_processor", "beside")},
    }


def markdown(report: dict[str, object]) -> str:
    runs = report["runs"]

    def cells(where: str, name: str) -> str:
        return " | ".join(f"{runs[mode][where].get(name, 0.0):.2f}" for mode in TRACKING)

    lines = [
        "| part | tracking none: wall, s | MLflow: wall, s | none: processor, s | MLflow: processor, s |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(name for mode in TRACKING for name in runs[mode]["in_the_way"]):
        both = f"{cells('in_the_way', name)} | {cells('in_the_way_processor', name)}"
        lines.append(f"| {name}{' (not counted)' * (name == START_UP)} | {both} |")
    for name in runs["mlflow"]["beside"]:
        apart = " (not counted)" * (name == OPENING)
        lines.append(f"| beside the training: {name}{apart} | | | {cells('beside', name)} |")
    total = [[f"{runs[mode][key]:.1f}" for mode in TRACKING] for key in ("wall", "processor")]
    lines.append(f"| the whole study after its start-up | {' | '.join([*total[0], *total[1]])} |")
    shares = [
        f"**{runs[mode][key]:.1%}**"
        for key in ("share_of_wall", "share_of_processor")
        for mode in TRACKING
    ]
    lines.append(f"| **share that is not training** | {' | '.join(shares)} |")
    quick = [
        f"| {name} | {value['median']:.3f} | {value['least']:.3f} | {value['processor']:.3f} |"
        for name, value in report["commands"].items()
    ]
    each = "; ".join(
        f"{mode}: {', '.join(f'{wall:.1f}' for wall in runs[mode]['walls'])}" for mode in TRACKING
    )
    intro = (
        f"`{STUDY}`, profile quick, {report['trials']} trials, {report['fits']} fits of "
        f"{report['steps']} steps; {report['rounds']} rounds, in turns, medians. Nothing but training "
        "depends on the number of steps: with more of them the shares are smaller.\n\n"
    )
    about = (
        f"{report['machine']}, {report['precision']}; {report['cores']} cores; torch "
        f"{report['torch']}, Python {report['python']}. Wall seconds of each round: {each}. Load "
        f"average over a minute, before and after: {report['load'][0]:.1f} and "
        f"{report['load'][1]:.1f}{report['beside']}.\n\nCommand: `{report['command']}`\n"
    )
    return "\n".join(
        [
            "# What does everything that is not training cost?\n",
            intro + "\n".join(lines) + "\n",
            "| command | median, s | least, s | processor time, s |\n|---|---|---|---|",
            "\n".join(quick) + "\n",
            about,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--steps", type=int, default=0, help="instead of the profile's")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the page")
    parser.add_argument("--out", type=Path, help="path without ending for .json and .md")
    parser.add_argument("--one", choices=TRACKING, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one, asked.trials, asked.steps, asked.folder)))
        return
    load = [os.getloadavg()[0]]
    runs: dict[str, list[dict[str, object]]] = {mode: [] for mode in TRACKING}
    for number in range(asked.rounds):
        for mode in TRACKING if number % 2 == 0 else reversed(TRACKING):
            with tempfile.TemporaryDirectory() as folder:
                amount = ["--trials", str(asked.trials), "--steps", str(asked.steps)]
                runs[mode].append(alone("--one", mode, "--folder", folder, *amount))
    load.append(os.getloadavg()[0])
    first = runs["none"][0]
    python = [sys.executable]
    import torch

    report = {
        **{key: first[key] for key in ("machine", "precision", "steps", "fits")},
        "cores": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "command": shlex.join(["python", *sys.argv]),
        "trials": asked.trials,
        "rounds": asked.rounds,
        "load": load,
        "beside": f"; {asked.beside}" if asked.beside else "",
        "runs": {mode: summed(own) for mode, own in runs.items()},
        "commands": {
            "`n2n-ablate --help`": seconds([*python, "-m", "n2n_ablate", "--help"], 15),
            "`import n2n_ablate`": seconds([*python, "-c", "import n2n_ablate"], 15),
            "`python -c ''`": seconds([*python, "-c", ""], 15),
        },
    }
    print(markdown(report))
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
        asked.out.with_suffix(".md").write_text(markdown(report))


if __name__ == "__main__":
    main()
