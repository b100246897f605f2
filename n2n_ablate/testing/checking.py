"""Runs the test kit over components from outside, with a time limit on every promise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from n2n_ablate.errors import PluginError

# Modules come from where this process has them, so that `check` imports what every other command
# does; `-P` keeps out the working folder, which `-c` would add.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from n2n_ablate.testing.child import main; main()"
)
_FATAL = re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)


@dataclass(frozen=True)
class Broken:
    """What happened instead of what is promised, at one setting, and where in the source."""

    setting: str
    problem: str
    where: str = ""


@dataclass
class Outcome:
    """What became of one promise: kept, broken, or (None) not tried."""

    name: str
    sentence: str
    kept: bool | None = None
    broken: list[Broken] = field(default_factory=list)
    untried: str = ""  # why this machine cannot try it; empty if it can, and an earlier one hung


@dataclass
class Checked:
    """One component and its promises."""

    # which component
    kind: str
    name: str
    origin: str
    file: str
    settings: list[str]  # at which settings it was tried: `defaults`, `chance=0`
    promises: list[Outcome]  # in the order of the contract

    def take(self, event: dict[str, Any]) -> None:
        """Take in what became of a promise."""
        outcome = next(entry for entry in self.promises if entry.name == event["name"])
        outcome.broken = [Broken(**entry) for entry in event["broken"]]
        outcome.untried = event.get("untried", "") if not outcome.broken else ""
        outcome.kept = None if outcome.untried else not outcome.broken

    @property
    def kept(self) -> bool:
        """Whether every promise was kept that this machine can try."""
        return all(promise.kept or promise.untried for promise in self.promises)


def check(target: str, plugins_dir: Path | None, limit: float) -> Iterator[Checked]:
    """Check a component, a file or a package; yield each component when all of it has been tried."""
    skip = 0
    count = 1
    while skip < count:
        for count, component in _run(target, plugins_dir, limit, skip):  # noqa: B007
            skip += 1
            yield component


def _run(
    target: str, plugins_dir: Path | None, limit: float, skip: int
) -> Iterator[tuple[int, Checked]]:
    asked = {
        "target": target,
        "plugins_dir": str(plugins_dir) if plugins_dir else None,
        "limit": limit,
        "skip": skip,
    }
    roads = [folder for folder in sys.path if Path(folder).is_absolute()]
    words = [sys.executable, "-P", "-c", _CHILD, json.dumps(asked), json.dumps(roads)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, text=True) as child,
    ):
        assert child.stdout is not None
        try:
            yield from _listen(child, child.stdout, said, limit, target)
        finally:
            child.kill()


def _listen(
    child: subprocess.Popen[str], lines: IO[str], said: IO[str], limit: float, target: str
) -> Iterator[tuple[int, Checked]]:
    count = 0
    component: Checked | None = None
    now: tuple[str, str] = ("", "")
    loading: dict[str, Any] = {}
    for line in lines:
        event = _event(line)
        match event.pop("event", ""):
            case "error":
                raise PluginError(event["message"])
            case "loading":
                loading = event
            case "found":
                count, loading = event["count"], {}
            case "component":
                if component is not None:
                    yield count, component
                outcomes = [Outcome(**entry) for entry in event.pop("promises")]
                component = Checked(**event, promises=outcomes)
            case "promise":
                now = event["name"], event["setting"]
            case "outcome":
                assert component is not None
                component.take(event)
            case "end":
                assert component is not None
                yield count, component
                return
    problem, where = _end(
        child.wait(), said, limit, component.file if component else loading.get("file", target)
    )
    if component is None:
        raise _not_loaded(target, loading, problem, where)
    broken = {"setting": now[1], "problem": problem, "where": where}
    component.take({"name": now[0], "broken": [broken]})
    yield count, component


def _not_loaded(target: str, loading: dict[str, Any], problem: str, where: str) -> PluginError:
    who = f"plugin '{loading['plugin']}' ({where or loading['file']}): " if loading else ""
    line = f" ({where})" if where and not loading else ""
    return PluginError(f"'{target}' cannot be loaded: {who}{problem}{line}")


def _event(line: str) -> dict[str, Any]:
    """Return what a line tells; nothing, if what starts with Python (a `.pth` file, say) printed it."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _end(status: int, said: IO[str], limit: float, file: str) -> tuple[str, str]:
    """Say how a process ended that did not end by itself, and at which line of the file."""
    said.seek(0)
    text = said.read()
    lines = [
        f"{name}:{line}"
        for name, line in _FRAME.findall(text)
        if file and Path(name).parts[-2:] == Path(file).resolve().parts[-2:]
    ]
    where = lines[0].replace(f"{Path.cwd()}/", "") if lines else ""
    if "Timeout (" in text:
        return f"it did not come to an end within {limit:g} s", where
    if fatal := _FATAL.search(text):
        return f"it ended the process with status {status} ({fatal[1]})", where
    last = text.strip().splitlines()[-1:] or [""]
    return f"it ended the process with status {status} {last[0]}".strip(), where
