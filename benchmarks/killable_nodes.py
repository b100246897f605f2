"""Ray nodes on this machine that can be killed, one at a time or the first one with all that hangs on it.

They are held by a process of its own, this file, which adds a node for every line that it reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

NODES = 3
# Ray would otherwise serve on the machine's outward address.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
_PATIENCE = 60.0  # until some worker has to be training


class Nodes:
    """Some nodes with one core each; the first one leads them.

    Attributes:
        address: Where a study joins them.
    """

    def __init__(self, count: int = NODES) -> None:
        self._count = count
        self._begin()

    def _begin(self) -> None:
        self._holder = subprocess.Popen(
            [sys.executable, __file__, str(self._count)],
            env=os.environ | LOOPBACK,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._hear()

    def _hear(self) -> None:
        for line in self._holder.stdout:
            if line.startswith("{"):
                told = json.loads(line)
                self.address, self._first = told["address"], told["first"]
                self._raylets = told["raylets"]
                return
        msg = "the Ray nodes did not start"
        raise RuntimeError(msg)

    def kill_worker(self, rng: random.Random) -> None:
        """Kill a worker that trains; wait for one if none does.

        Raises:
            RuntimeError: None trains for a minute.
        """
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            busy = sorted(_busy(set(self._raylets)))
            for pid in rng.sample(busy, len(busy)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return
            time.sleep(0.02)
        msg = f"no worker trained for {_PATIENCE:g} s, so none could be killed"
        raise RuntimeError(msg)

    def kill_node(self, rng: random.Random) -> None:
        """Kill a node other than the first, its workers with it; another one joins."""
        os.kill(rng.choice(self._raylets[1:]), signal.SIGKILL)
        self._holder.stdin.write("add\n")
        self._holder.stdin.flush()
        self._hear()

    def kill_first(self) -> None:
        """Kill all that the first node consists of, and with it what holds the others together."""
        for pid in self._first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def again(self) -> None:
        """Start new nodes in place of what is left."""
        self.close()
        self._begin()

    def close(self) -> None:
        """Stop the nodes."""
        self._holder.stdin.close()
        try:
            self._holder.wait(60)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()
        for pid in self._raylets:
            if "raylet" in _name(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


def _busy(raylets: set[int]) -> set[int]:
    """Return the workers of these nodes that are training."""
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            name = _name(int(folder.name))
            if parent in raylets and name.startswith("ray::") and "train" in name:
                found.add(int(folder.name))
    return found


def hold(count: int) -> None:
    """Hold nodes until the input ends; add one for every line of it."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()

    def add() -> None:
        cluster.add_node(num_cpus=1, include_dashboard=False)
        head = cluster.head_node.all_processes
        every = [node.all_processes["raylet"][0].process for node in cluster.worker_nodes]
        raylets = [process.pid for process in every if process.poll() is None]
        told = {
            "address": cluster.address,
            "first": [item.process.pid for group in head.values() for item in group],
            "raylets": [head["raylet"][0].process.pid, *sorted(raylets)],
        }
        print(json.dumps(told), flush=True)

    for _ in range(count - 1):
        cluster.add_node(num_cpus=1, include_dashboard=False)
    add()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    for _ in sys.stdin:
        add()
    cluster.shutdown()


if __name__ == "__main__":
    hold(int(sys.argv[1]))
