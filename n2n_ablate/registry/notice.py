"""Says once per folder that its plugin files run, and again when there are new ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from n2n_ablate.errors import printable
from n2n_ablate.registry.discovery import LOCAL, LOCAL_SWITCH, Candidate

_MOST_FOLDERS = 1000
_log = logging.getLogger("n2n_ablate")


def announce(candidates: Iterable[Candidate]) -> None:
    """Say which files of `./plugins` are about to run for the first time as they are."""
    files = [Path(each.origin.file) for each in candidates if each.origin.source == LOCAL]
    digests = {file: digest for file in files if (digest := _digest(file))}
    if not digests:
        return
    known = _read()
    folder = str(next(iter(digests)).resolve().parent)
    before = known.pop(folder, [])
    new = [file.name for file, digest in digests.items() if digest not in before]
    if not new:
        return
    _log.warning(
        "note: running the code in %s (new or changed: %s). %s=0 turns this off.",
        printable(str(next(iter(digests)).parent)),
        printable(", ".join(new)),
        LOCAL_SWITCH,
    )
    known[folder] = sorted(digests.values())
    _write(dict(list(known.items())[-_MOST_FOLDERS:]))


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "n2n-ablate" / "plugin-files.json"


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""
    except OSError:
        return ""


def _read() -> dict[str, list[str]]:
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        path = _file()
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if isinstance(known, dict) and all(isinstance(each, list) for each in known.values()):
            return known
    return {}


def _write(known: dict[str, list[str]]) -> None:
    with contextlib.suppress(OSError, RuntimeError):  # then it is said again next time
        path = _file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, delete=False, encoding="utf-8"
        ) as file:
            json.dump(known, file)
        Path(file.name).replace(path)
