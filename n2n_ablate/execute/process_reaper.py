"""Ends what is left of a Ray cluster when the process that started it is gone, however it went.

Ray's helpers notice that a killed cluster is gone after minutes, or never. The reaper is a
separate process in another session, and nobody's child, because Ray kills the children of a process that it
ends. So neither that nor `kill -9` nor a second Ctrl-C, which leave the owner no time to do anything,
reach it. It reads a line from its standard input, a JSON list of processes, follows them and what
they start until the input ends, then kills those that are left. It needs Linux's /proc; elsewhere there
is no guard.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_PROCESSES = Path("/proc")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds between two looks at what has been started
_PATIENCE = 10.0  # seconds for killed processes to go


class ProcessReaper:
    """The owner's end of a guard; guards nobody before `watch`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, processes: Iterable[int]) -> None:
        """Guard processes, and all that they start, until `close`."""
        asked = json.dumps(list(processes))
        if asked == "[]" or not sys.platform.startswith("linux"):
            return
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(f"{asked}\n".encode())
        self._process.stdin.flush()
        self._process.wait()  # the guard itself is a child of this one

    def close(self) -> None:
        """End whoever is left, and the guard. May be called twice."""
        if self._process is not None:
            self._process.communicate()  # until the guard, who has both pipes, has ended
            self._process = None


def children() -> set[int]:
    """Return the processes that this one has started and that still run; none without /proc."""
    if not sys.platform.startswith("linux"):
        return set()
    return {process for process, (parent, _) in running().items() if parent == os.getpid()}


def running() -> dict[int, tuple[int, int]]:
    """Return the parent of every process, and when it was started: that tells ids used again."""
    processes = {}
    for folder in _PROCESSES.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if fields[0] not in ("Z", "X"):
                    processes[int(folder.name)] = int(fields[1]), int(fields[19])
    return processes


def followed(members: Mapping[int, int]) -> dict[int, int]:
    """Return those of some processes that are there, and their descendants: by id, when started."""
    everyone = running()
    descendants = {
        process: started
        for process, started in members.items()
        if process in everyone and everyone[process][1] == started
    }
    new = descendants
    while new:
        new = {
            process: started
            for process, (parent, started) in everyone.items()
            if parent in new and process not in descendants
        }
        descendants = descendants | new
    return descendants


def main() -> None:
    """Follow until the owner's end, then end what is left."""
    if os.fork():
        return
    everyone, asked = running(), json.loads(sys.stdin.buffer.readline() or "[]")
    members = {process: everyone[process][1] for process in asked if process in everyone}
    pause = _FIRST_PAUSE
    while not select.select([sys.stdin], [], [], pause)[0]:
        members, pause = followed(members), min(2 * pause, _LONGEST_PAUSE)
    deadline = time.monotonic() + _PATIENCE
    while (members := followed(members)) and time.monotonic() < deadline:
        for process in members:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
