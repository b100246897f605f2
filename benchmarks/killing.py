"""A study that is killed at seeded moments and started again, and what is found of it in the end."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from killable_nodes import LOOPBACK, Nodes

EXECUTORS = ("local", "ray")
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
set = { "training.steps" = STEPS }
"""
PER_TRIAL = 6
KINDS = ("worker", "node", "first node", "coordinator")
# On Ray, in a drawn order; of 20 kills 6 are of workers, 5 of nodes, 3 of first nodes.
TURNS = ("worker", "coordinator", "node", "first node", "worker", "coordinator", "node")


@dataclass
class Kill:
    """One `kill -9`: of what, how many fits were stored then, and how many since the one before."""

    victim: str
    stored: int
    new: int


@dataclass
class Outcome:
    """What was found after the last command ended."""

    executor: str
    fits: int
    steps: int
    planned: list[str]
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
    def least(self) -> int:
        """Fewest fits that were stored from one kill to the next."""
        return min((kill.new for kill in self.kills), default=0)

    @property
    def good(self) -> bool:
        """Say whether everything was done as planned, and is as promised."""
        whole = [kill.victim for kill in self.kills] == self.planned and self.least > 0
        wrong = self.again or self.running or self.doubled or self.failures
        return whole and self.stored == self.fits and self.same_table and not wrong


def torture(
    executor: str,
    folder: Path,
    *,
    kills: int = 20,
    trials: int = 10,
    steps: int = 300,
    seed: int = 0,
    tracking: str = "mlflow",
) -> Outcome:
    """Run the study in `folder`, kill it `kills` times, and run it until it is done.

    Raises:
        RuntimeError: It is over before the last kill, or ends with an error.
    """
    rng, begun = random.Random(seed), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "torture.toml").write_text(STUDY.replace("STEPS", str(steps)))
    planned = victims(executor, kills, rng)
    outcome = Outcome(executor, trials * PER_TRIAL, steps, planned)
    amount = ["--trials", str(trials)]
    calm = _start(folder, "calm", [*amount, "--tracking", "none"])
    words = [*amount, "--tracking", tracking, "--executor", executor]
    try:
        with _nodes(executor) as nodes:
            hurt = _hurt(folder, words, nodes, outcome, rng)
    except BaseException:
        calm.kill()
        raise
    outcome.failures = hurt["fits"]["failed"]
    outcome.same_table = _table(hurt) == _table(_told(calm, folder / "calm.err"))
    outcome.doubled = _doubled(folder)
    if tracking == "mlflow":
        runs = _runs(folder)
        outcome.running = sum(status == "RUNNING" for _, status in runs)
        count = collections.Counter(name for name, _ in runs if name != "summary")
        outcome.doubled += sum(count.values()) - trials
    outcome.seconds = time.monotonic() - begun
    return outcome


def victims(executor: str, kills: int, rng: random.Random) -> list[str]:
    """Return what is killed, in order. The workers of one process are threads, killed with it."""
    if executor == "local":
        return ["coordinator"] * kills
    planned = [TURNS[place % len(TURNS)] for place in range(kills)]
    rng.shuffle(planned)
    return planned


def _hurt(
    folder: Path, words: list[str], nodes: Nodes | None, outcome: Outcome, rng: random.Random
) -> dict[str, object]:
    """Run the study, kill as planned, and return what it tells in the end."""
    stored: dict[Path, tuple[int, int]] = {}

    def look() -> int:
        seen = _files(folder)
        outcome.again += sum(seen.get(path) != mark for path, mark in stored.items())
        stored.update(seen)
        return len(seen)

    def start() -> subprocess.Popen[str]:
        outcome.starts += 1
        place = ["--address", nodes.address] if nodes else []
        return _start(folder, "hurt", [*words, *place])

    count = len(outcome.planned)
    # Two fits apart at least, and the last early enough for a study that is quicker than the plan.
    drawn = sorted(rng.sample(range(outcome.fits - count - 4), count))
    process = start()
    try:
        for place, (victim, moment) in enumerate(zip(outcome.planned, drawn, strict=True)):
            before = outcome.kills[-1].stored if outcome.kills else 0
            late = before + 1 > moment + place
            _wait(process, folder, max(moment + place, before + 1))
            time.sleep(0 if late else rng.uniform(0, 0.5))
            if process.poll() is not None:
                raise RuntimeError(_early(process, place, count))
            _kill(victim, process, nodes, rng)
            outcome.kills.append(Kill(victim, now := look(), now - before))
            if victim in ("coordinator", "first node"):
                process = start()
        told = _told(process, folder / "hurt.err")
    finally:
        process.kill()
        process.wait()
    outcome.stored = look()
    return told


def _kill(
    victim: str, process: subprocess.Popen[str], nodes: Nodes | None, rng: random.Random
) -> None:
    if victim == "coordinator":
        process.kill()
        process.communicate()
    elif victim == "worker":
        nodes.kill_worker(rng)
    elif victim == "node":
        nodes.kill_node(rng)
    else:
        nodes.kill_first()
        process.communicate(timeout=300)  # without a cluster it ends by itself
        nodes.again()


def _early(process: subprocess.Popen[str], done: int, planned: int) -> str:
    return (
        f"the study was over, with status {process.returncode}, after {done} of {planned} kills; "
        "more --steps make its fits longer"
    )


def _start(folder: Path, output: str, words: list[str]) -> subprocess.Popen[str]:
    start = [sys.executable, "-m", "n2n_ablate", "study", "torture.toml", "--precision", "fp32"]
    with (folder / f"{output}.err").open(
        "w"
    ) as errors:  # a pipe that nobody reads would hold it up
        return subprocess.Popen(
            [*start, "--output", output, "--json", *words],
            cwd=folder,
            env=os.environ | LOOPBACK | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            text=True,
            stdout=subprocess.PIPE,
            stderr=errors,
        )


def _told(process: subprocess.Popen[str], errors: Path) -> dict[str, object]:
    """Return what a study that came to its end tells."""
    told, _ = process.communicate(timeout=900)
    if process.returncode not in (0, 3) or not told:
        msg = f"the study ended with status {process.returncode}:\n{errors.read_text()}"
        raise RuntimeError(msg)
    return json.loads(told)


def _wait(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    """Wait until so many fits are stored, or the study is over."""
    while process.poll() is None and len(_files(folder)) < count:
        time.sleep(0.02)


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the stored fits; a file that is written again gets another mark."""
    found = {}
    for path in (folder / "hurt" / "fits").glob("*/[!.]*.safetensors"):  # not those half written
        about = path.stat()
        found[path] = (about.st_ino, about.st_mtime_ns)
    return found


def _table(told: dict[str, object]) -> object:
    """Return the figures of a study without what depends on the clock."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            timed = {key for key in value if "seconds" in key or key == "pareto"}
            return {key: plain(item) for key, item in value.items() if key not in timed}
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


@contextlib.contextmanager
def _nodes(executor: str) -> Iterator[Nodes | None]:
    if executor == "local":
        yield None
        return
    with contextlib.closing(Nodes()) as nodes:
        yield nodes
