"""Plugin files as content: what workers elsewhere have to load besides what is installed there."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from n2n_ablate.engine.identity import Fingerprints
from n2n_ablate.errors import ExecutorError
from n2n_ablate.registry import Registry
from n2n_ablate.registry.discovery import GIVEN_ROAD, LOCAL_ROAD, OFF_SWITCH

_FOLDERS = {LOCAL_ROAD: "local", GIVEN_ROAD: "given"}
_BYTES = "latin-1"  # bytes as text: only Python has to know what encoding a file has


def packed(registry: Registry) -> bytes:
    """Return the source of every plugin file in use, and whether installed packages are.

    Packages do not travel: they are installed on every machine, and compared.

    Raises:
        ExecutorError: A plugin file is gone.
    """
    files: dict[str, dict[str, str]] = {road: {} for road in _FOLDERS}
    try:
        for entry in registry:
            if entry.origin.road in files:
                path = Path(entry.origin.file)
                files[entry.origin.road][path.name] = path.read_bytes().decode(_BYTES)
    except OSError as error:
        msg = f"plugin file '{error.filename}' cannot be sent to workers: {error.strerror}"
        raise ExecutorError(msg) from error
    return json.dumps({"files": files, "switch": os.environ.get(OFF_SWITCH)}).encode()


def unpacked(bundle: bytes) -> tuple[Registry, Fingerprints]:
    """Load plugins as the sender has them; hashes of the files' code are taken with them."""
    content = json.loads(bundle)
    os.environ.pop(OFF_SWITCH, None)
    if content["switch"] is not None:
        os.environ[OFF_SWITCH] = content["switch"]
    with tempfile.TemporaryDirectory(prefix="n2n-ablate-") as home:
        for road, files in content["files"].items():
            folder = Path(home) / _FOLDERS[road]
            folder.mkdir()
            for name, source in files.items():
                (folder / Path(name).name).write_bytes(source.encode(_BYTES))
        folders = {road: Path(home) / name for road, name in _FOLDERS.items()}
        registry = Registry(plugins_dir=folders[GIVEN_ROAD], local=folders[LOCAL_ROAD])
        prints = Fingerprints(registry)
        for entry in registry:  # while the files are there
            if entry.origin.road in _FOLDERS:
                prints.own(entry.kind, entry.name)
    return registry, prints
