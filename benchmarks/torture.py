"""Kills a study again and again, and looks whether anything was lost, doubled or trained twice.

    python benchmarks/torture.py                            60 fits, 20 kills, both executors
    python benchmarks/torture.py --executor local --kills 5 --seed 3
    python benchmarks/torture.py --out docs/results/torture

A grid of 60 tiny fits runs in one process, and on a Ray cluster of three nodes on this machine. At
seeded moments a process is ended by `kill -9`: a worker in the middle of a fit, a node with all its
workers (another joins), or the process that coordinates the study, which is then started again by the
same command. At the end every fit must be stored exactly once, no file that was there at a kill may
have been written again, MLflow may have no running run, each trial must have one line in the journal
and one run, and the table must be that of a study that nobody disturbed, digit by digit.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

EXECUTORS = ("local", "ray")
NODES = 3
STUDY = """
name = "torture"
question = "Is anything lost?"
design = "grid"

[baseline]
sampler = { name = "three-by-three", center = 0.01 }
backbone = { name = "zs-n2n", width = 8 }
loss = "residual-consistency"
training = "adam"

[[conditions]]
noise = { name = "gaussian", sigma = 25.0 }
label = "sigma 25"

[factors]
"sampler.center" = { levels = [0.01, 0.1, 0.2, 0.3, 0.4] }
"backbone.width" = { levels = [8, 6] }

[profiles.quick]
images = ["builtin:astronaut", "builtin:coffee", "builtin:chelsea"]
crop = 24
seeds = [0, 1]
set = { "training.steps" = 60 }
"""
PER_TRIAL = 6
# Ray would otherwise serve on the machine's outward address.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass
class Kill:
    """One `kill -9`: of what, and how many fits were stored then."""

    victim: str
    stored: int


@dataclass
class Outcome:
    """What was found after the last command ended."""

    executor: str
    fits: int
    kills: list[Kill] = field(default_factory=list)
    starts: int = 0
    seconds: float = 0.0
    stored: int = 0
    again: int = 0
    running: int = 0
    doubled: int = 0
    failures: int = 0
    same_table: bool = False

    @property
    def good(self) -> bool:
        """Say whether everything is as promised."""
        wrong = self.again or self.running or self.doubled or self.failures
        return self.stored == self.fits and self.same_table and not wrong


def torture(
    executor: str,
    folder: Path,
    *,
    kills: int = 20,
    trials: int = 10,
    seed: int = 0,
    tracking: str = "mlflow",
) -> Outcome:
    """Run the study in `folder`, kill it `kills` times, and run it until it is done."""
    rng, begun = random.Random(seed), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "torture.toml").write_text(STUDY)
    calm = _study(folder, "calm", trials, "none")
    outcome = Outcome(executor, trials * PER_TRIAL)
    stored: dict[Path, tuple[int, int]] = {}
    moments = sorted(rng.sample(range(outcome.fits - 4), kills))
    with _cluster(executor) as cluster:
        words = ["--executor", executor, *(["--address", cluster.address] if cluster else [])]
        process = _start(folder, words, trials, tracking)
        outcome.starts = 1
        try:
            for moment in moments:
                if not _wait(process, folder, moment):
                    break  # it was faster than the plan
                time.sleep(rng.uniform(0, 0.5))
                victim = rng.choice(("worker", "worker", "node", "coordinator"))
                victim = victim if cluster else "coordinator"
                if cluster and victim != "coordinator" and not cluster.kill(victim, rng):
                    victim = "coordinator"  # no worker is busy at this moment
                if victim == "coordinator":
                    process.kill()
                    process.communicate()
                seen = _files(folder)
                outcome.again += sum(seen.get(path) != mark for path, mark in stored.items())
                stored |= seen
                outcome.kills.append(Kill(victim, len(seen)))
                if victim == "coordinator":
                    process = _start(folder, words, trials, tracking)
                    outcome.starts += 1
            _, errors = process.communicate(timeout=600)
        finally:
            process.kill()
    if process.returncode not in (0, 3):
        raise RuntimeError(errors)
    seen = _files(folder)
    outcome.again += sum(seen.get(path) != mark for path, mark in stored.items())
    last = _study(folder, "hurt", trials, tracking)
    outcome.stored = len(_files(folder))
    outcome.failures = last["failures"]
    outcome.same_table = _table(last) == _table(calm)
    outcome.doubled = _doubled(folder)
    if tracking == "mlflow":
        runs = _runs(folder)
        outcome.running = sum(status == "RUNNING" for _, status in runs)
        count = collections.Counter(name for name, _ in runs if name != "summary")
        outcome.doubled += sum(count.values()) - trials
    outcome.seconds = time.monotonic() - begun
    return outcome


def _words(name: str, trials: int, tracking: str) -> list[str]:
    start = [sys.executable, "-m", "n2n_ablate", "study", "torture.toml", "--precision", "fp32"]
    return [*start, "--output", name, "--trials", str(trials), "--tracking", tracking]


def _start(folder: Path, words: list[str], trials: int, tracking: str) -> subprocess.Popen[str]:
    command = [*_words("hurt", trials, tracking), *words, "--quiet"]
    env = os.environ | LOOPBACK | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _study(folder: Path, name: str, trials: int, tracking: str) -> dict[str, object]:
    """Run the study undisturbed and return what it tells."""
    done = subprocess.run(
        [*_words(name, trials, tracking), "--json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def _wait(process: subprocess.Popen[str], folder: Path, count: int) -> bool:
    """Wait until so many fits are stored; False if the study ends before."""
    while process.poll() is None:
        if len(_files(folder)) >= count:
            return True
        time.sleep(0.02)
    return False


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the stored fits; a file that is written again gets another mark."""
    found = {}
    for path in (folder / "hurt" / "fits").glob("*/*.safetensors"):
        about = path.stat()
        found[path] = (about.st_ino, about.st_mtime_ns)
    return found


def _table(told: dict[str, object]) -> object:
    """Return the figures of a study without what depends on the clock."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if "seconds" not in key}
        return [plain(item) for item in value] if isinstance(value, list) else value

    return plain(told["conditions"])


def _doubled(folder: Path) -> int:
    """Count trials that stand in the journal more than once."""
    (journal,) = (folder / "hurt" / "studies" / "torture").glob("*.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    names = [line["name"] for line in lines if line["line"] == "trial"]
    return len(names) - len(set(names))


def _runs(folder: Path) -> list[tuple[str, str]]:
    """Return role or name, and status, of every run in MLflow."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder.resolve()}/hurt/mlflow.db")
    (experiment,) = [item for item in client.search_experiments() if item.name == "torture"]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return [(run.info.run_name, run.info.status) for run in runs]


class Cluster:
    """Three Ray nodes on this machine, held by a process that can be told to add one."""

    def __init__(self, nodes: int = NODES) -> None:
        self._holder = subprocess.Popen(
            [sys.executable, __file__, "--hold", str(nodes)],
            env=os.environ | LOOPBACK,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.address = ""
        self._raylets: list[int] = []
        self._hear()

    def _hear(self) -> None:
        for line in self._holder.stdout:
            if line.startswith("{"):
                told = json.loads(line)
                self.address, self._raylets = told["address"], told["raylets"]
                return
        msg = "the Ray nodes did not start"
        raise RuntimeError(msg)

    def kill(self, what: str, rng: random.Random) -> bool:
        """Kill a busy worker, or a node other than the first, which another one replaces."""
        if what == "node":
            os.kill(rng.choice(self._raylets[1:]), signal.SIGKILL)
            self._holder.stdin.write("add\n")
            self._holder.stdin.flush()
            self._hear()
            return True
        busy = _busy(set(self._raylets))
        if busy:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(sorted(busy)), signal.SIGKILL)
        return bool(busy)

    def close(self) -> None:
        """Stop the nodes."""
        self._holder.stdin.close()
        try:
            self._holder.wait(60)
        except subprocess.TimeoutExpired:
            self._holder.kill()


def _busy(raylets: set[int]) -> set[int]:
    """Return the workers of these nodes that are training."""
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            name = (folder / "cmdline").read_bytes().decode()
            if parent in raylets and name.startswith("ray::") and "train" in name:
                found.add(int(folder.name))
    return found


@contextlib.contextmanager
def _cluster(executor: str) -> Iterator[Cluster | None]:
    if executor == "local":
        yield None
        return
    cluster = Cluster()
    try:
        yield cluster
    finally:
        cluster.close()


def hold(nodes: int) -> None:
    """Hold nodes until the input ends; add one for every line of it."""
    from ray.cluster_utils import Cluster as Nodes

    cluster = Nodes()

    def add() -> None:
        cluster.add_node(num_cpus=1, include_dashboard=False)
        every = [cluster.head_node, *cluster.worker_nodes]
        alive = [node for node in every if node.live_processes()]
        pids = {
            node.all_processes["raylet"][0].process.pid
            for node in alive
            if node.all_processes["raylet"][0].process.poll() is None
        }
        head = cluster.head_node.all_processes["raylet"][0].process.pid
        raylets = [head, *sorted(pids - {head})]
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)

    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1, include_dashboard=False)
    add()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    for _ in sys.stdin:
        add()
    cluster.shutdown()


def markdown(outcomes: list[Outcome]) -> str:
    lines = [
        (
            "| executor | fits | kills: workers, nodes, coordinators | commands | stored | lost "
            "| trained again | doubled | running runs | table as undisturbed | seconds |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for item in outcomes:
        count = collections.Counter(kill.victim for kill in item.kills)
        kills = ", ".join(str(count[victim]) for victim in ("worker", "node", "coordinator"))
        lines.append(
            f"| {item.executor} | {item.fits} | {kills} | {item.starts} | {item.stored} "
            f"| {item.fits - item.stored} | {item.again} | {item.doubled} | {item.running} "
            f"| {'yes' if item.same_table else 'no'} | {item.seconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executor", choices=EXECUTORS, action="append")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=10, help="of 6 fits each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tracking", choices=("mlflow", "none"), default="mlflow")
    parser.add_argument("--out", type=Path, help="path without ending for .md")
    parser.add_argument("--hold", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.hold:
        hold(asked.hold)
        return
    outcomes = []
    for executor in asked.executor or EXECUTORS:
        with tempfile.TemporaryDirectory() as folder:
            outcome = torture(
                executor,
                Path(folder),
                kills=asked.kills,
                trials=asked.trials,
                seed=asked.seed,
                tracking=asked.tracking,
            )
        outcomes.append(outcome)
        print(markdown(outcomes), flush=True)
    if asked.out:
        told = f"# What does a study lose when it is killed?\n\n{markdown(outcomes)}\n\n"
        command = shlex.join(["python", *sys.argv])
        asked.out.with_suffix(".md").write_text(f"{told}Command: `{command}`\n")
    sys.exit(not all(outcome.good for outcome in outcomes))


if __name__ == "__main__":
    main()
