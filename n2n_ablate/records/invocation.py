"""One run of the command, as it is given to journals, trackers and plugins."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Invocation:
    """One run of the command.

    Attributes:
        id: Unique.
        command: As the user typed it.
        device: See `Machine.name`.
        precision: See `Machine`.
        versions: Of Python, torch and the plugins, by name.
        commit: Of the git repository that the working folder belongs to, empty if none.
    """

    id: str
    command: str
    device: str
    precision: str
    versions: dict[str, str]
    commit: str = ""


def commit() -> str:
    """Return the commit of the repository that the working folder belongs to, empty if none."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
