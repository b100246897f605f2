"""Plugin files as content: what workers elsewhere have to load besides what is installed there."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from n2n_ablate.engine.identity import Fingerprints
from n2n_ablate.errors import ExecutorError
from n2n_ablate.registry import Registry
from n2n_ablate.registry.discovery import GIVEN, LOCAL, PACKAGES_SWITCH

_FOLDERS = {LOCAL: "local", GIVEN: "given"}
_BYTES = "latin-1"  # bytes as text: only Python has to know what encoding a file has


def packed(registry: Registry) -> bytes:
    """Return the source of every plugin file in use, and whether installed packages are.

    Packages do not travel: they are installed on every machine, and compared.
    """
    files: dict[str, dict[str, str]] = {source: {} for source in _FOLDERS}
    try:
        for entry in registry:
            if entry.origin.source in files:
                path = Path(entry.origin.file)
                files[entry.origin.source][path.name] = path.read_bytes().decode(_BYTES)
    except OSError as error:
        msg = f"plugin file '{error.filename}' cannot be sent to workers: {error.strerror}"
        raise ExecutorError(msg) from error
    return json.dumps({"files": files, "switch": os.environ.get(PACKAGES_SWITCH)}).encode()


def unpacked(bundle: bytes) -> tuple[Registry, Fingerprints]:
    """Load plugins as the sender has them; hashes of the files' code are taken with them."""
    content = json.loads(bundle)
    os.environ.pop(PACKAGES_SWITCH, None)
    if content["switch"] is not None:
        os.environ[PACKAGES_SWITCH] = content["switch"]
    with tempfile.TemporaryDirectory(prefix="n2n-ablate-") as home:
        for source, files in content["files"].items():
            folder = Path(home) / _FOLDERS[source]
            folder.mkdir()
            for name, text in files.items():
                (folder / Path(name).name).write_bytes(text.encode(_BYTES))
        folders = {source: Path(home) / name for source, name in _FOLDERS.items()}
        registry = Registry(plugins_dir=folders[GIVEN], local=folders[LOCAL])
        prints = Fingerprints(registry)
        for entry in registry:  # while the files are there
            if entry.origin.source in _FOLDERS:
                prints.code_of(entry.kind, entry.name)
    return registry, prints
