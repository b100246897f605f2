"""One run of the command, as it is told to journals, trackers and plugins."""

from __future__ import annotations

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
