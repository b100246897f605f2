"""Finds plugins and says where each comes from; announces the files of a folder. Loads nothing."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from types import ModuleType

from n2n_ablate.errors import PluginError, no_file, on_failure, printable
from n2n_ablate.files import write_whole
from n2n_ablate.registry import hookspecs

LOCAL_FOLDER = "plugins"
PACKAGE, CHECKOUT, FILE, GIVEN = "package", "checkout", "file", "--plugins-dir"
LOCAL = f"./{LOCAL_FOLDER}"
PACKAGES_SWITCH, LOCAL_SWITCH = "N2N_ABLATE_PLUGINS", "N2N_ABLATE_LOCAL_PLUGINS"
_OURS = "n2n_ablate_plugins"


@dataclass(frozen=True)
class Origin:
    """Where a plugin came from."""

    plugin: str  # its name: that of the entry point, or of the file without `.py`
    source: str  # `package`, `checkout`, `./plugins`, `--plugins-dir` or `file`
    file: str = ""  # its source file, if it has one
    # of the package; empty for a single file
    version: str = ""
    distribution: str = ""

    def __str__(self) -> str:
        return f"{self.plugin} {self.version}".strip() if self.source == PACKAGE else self.file


@dataclass(frozen=True)
class Candidate:
    """A plugin to load: call `load` and expect anything."""

    origin: Origin  # where it is
    load: Callable[[], object]  # loads it; a `PluginError` says why it cannot be
    ours: bool = False  # whether it is one of those that ship
    marks: frozenset[str] = frozenset()  # what two candidates share that are one plugin


def find(plugins_dir: Path | None, local: Path | None, file: Path | None) -> list[Candidate]:
    """Return plugins: ours, packages, `./plugins` (or `local`), `--plugins-dir`, a single file.

    Of several with a mark in common the first counts: one is the other, or a copy of it.
    """
    if plugins_dir is not None and not _is_folder(plugins_dir):
        msg = f"--plugins-dir: '{plugins_dir}' is not a folder. Give a folder with plugin files."
        raise PluginError(msg)
    candidates = sorted(_installed(), key=lambda each: (not each.ours, each.origin.plugin))
    if os.environ.get(PACKAGES_SWITCH) == "":
        candidates = [each for each in candidates if each.ours]
    if not any(each.ours for each in candidates):
        candidates[:0] = in_folder(Path(__file__).resolve().parents[2] / LOCAL_FOLDER, CHECKOUT)
    for folder, source in ((local, LOCAL), (plugins_dir, GIVEN)):
        candidates += in_folder(folder, source) if folder is not None else ()
    return [*candidates, *([_of_file(file, FILE)] if file is not None else [])]


def given(plugin: object) -> Candidate:
    """Return a plugin that is loaded already."""
    name = getattr(plugin, "__name__", type(plugin).__name__)
    return Candidate(Origin(name, "given"), lambda: plugin)


def local_folder() -> Path | None:
    """Return the folder of plugin files to load, None where `N2N_ABLATE_LOCAL_PLUGINS=0` forbids it."""
    allowed = os.environ.get(LOCAL_SWITCH, "").strip().lower() not in ("0", "no", "off", "false")
    return Path(LOCAL_FOLDER) if allowed else None


def in_folder(folder: Path, source: str) -> Iterator[Candidate]:
    """Yield the plugin files of a folder: not the hidden ones that some disks keep beside every file."""
    try:
        files = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        reason = f"the folder cannot be read: {error.strerror}"
        yield _refused(Origin(folder.name, source, str(folder)), reason)
        return
    for file in files:
        if file.suffix == ".py" and not file.name.startswith((".", "_")):
            yield _of_file(file, source)


def _installed() -> Iterator[Candidate]:
    """Yield what installed packages declare, whatever else lies beside them."""
    for package in distributions():
        # pip renames what it removes to `~x`, and leaves it there when it is interrupted.
        if _folder_of(package).startswith("~"):
            continue
        try:
            declared = package.read_text("entry_points.txt") or ""
            points = package.entry_points if f"[{hookspecs.PROJECT}]" in declared else ()
            for point in points:
                if point.group == hookspecs.PROJECT:
                    yield _of_entry_point(point, package)
        except Exception as error:  # noqa: BLE001  metadata is text that anybody wrote
            name = _name(package)
            reason = f"its entry points cannot be read: {type(error).__name__}: {error}"
            yield _refused(Origin(name, PACKAGE, distribution=name), reason)


def _of_entry_point(point: EntryPoint, package: Distribution) -> Candidate:
    name, version = _name(package), _metadata(package, "Version")
    if EntryPoint.pattern.match(point.value) is None:
        module = re.sub(r"\W", "_", point.value.partition(":")[0].strip()) or "my_module"
        reason = (
            f"its entry point '{point.name} = {point.value}' must name a module: dotted Python "
            f"names, such as {module}"
        )
        return _refused(Origin(point.name, PACKAGE, "", version, name), reason, point.value)
    file = _file_of(point.module)
    marks = {f"{point.module}:{point.attr}"}
    if file and not point.attr:
        marks |= _marks(Path(file))
    origin = Origin(point.name, PACKAGE, file, version, name)
    ours = point.module.partition(".")[0] == _OURS
    return Candidate(origin, point.load, ours, frozenset(marks))


def _of_file(file: Path, source: str) -> Candidate:
    origin = Origin(file.stem, source, str(file))
    if not file.is_file():  # a pipe would be waited for
        return _refused(origin, f"the file {no_file(file)}")
    load = _load_of_ours if source == CHECKOUT else _load_file
    return Candidate(origin, partial(load, file), source == CHECKOUT, frozenset(_marks(file)))


def _refused(origin: Origin, reason: str, *marks: str) -> Candidate:
    def load() -> None:
        raise PluginError(reason)

    return Candidate(origin, load, marks=frozenset(marks))


def _load_file(file: Path) -> ModuleType:
    """Import one plugin file under a name that no other file has."""
    path = file.resolve()
    name = f"n2n_ablate_local_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "it ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being executed
    with on_failure(lambda: sys.modules.pop(name)):
        spec.loader.exec_module(module)
    return module


def _load_of_ours(file: Path) -> ModuleType:
    """Import one of our own plugin files by the name that it has when it is installed."""
    package = ModuleType(_OURS)
    package.__path__ = [str(file.resolve().parent)]  # our plugins import one another
    sys.modules.setdefault(_OURS, package)
    return importlib.import_module(f"{_OURS}.{file.stem}")


def _marks(file: Path) -> set[str]:
    """Return what identifies a file: its path, and its content unless that depends on its folder."""
    try:
        path, content = str(file.resolve()), file.read_bytes()
    except (OSError, RuntimeError):
        return set()
    return {path} if file.name == "__init__.py" else {path, hashlib.sha256(content).hexdigest()}


def _file_of(module: str) -> str:
    """Return the file of a module without importing anything, empty where it cannot be known."""
    first, *inner = module.split(".")
    with suppress(Exception):  # the name is text that anybody wrote, and shows when it is loaded
        spec = importlib.util.find_spec(first)
        if spec is None or not inner:
            return spec.origin or "" if spec and spec.has_location else ""
        for folder in spec.submodule_search_locations or ():
            path = Path(folder, *inner)
            for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
                if file.is_file():
                    return str(file)
    return ""


def _metadata(package: Distribution, key: str) -> str:
    with suppress(Exception):  # they are text that anybody wrote
        return printable(package.metadata[key] or "")
    return ""


def _folder_of(package: Distribution) -> str:
    return Path(str(getattr(package, "_path", ""))).name


def _name(package: Distribution) -> str:
    return _metadata(package, "Name") or _folder_of(package).partition("-")[0] or "a package"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return False


def announce(candidates: Sequence[Candidate]) -> None:
    """Say which files of `./plugins` are about to run for the first time as they are.

    A file that is an installed plugin too, as in a checkout of this project, is not announced.
    """
    local = [each for each in candidates if each.origin.source == LOCAL and each.marks]
    installed = {mark for each in candidates if each not in local for mark in each.marks}
    new = [each for each in local if not each.marks & installed]
    if not new:
        return
    folder = Path(new[0].origin.file).parent
    now = "\n".join(sorted(mark for each in new for mark in each.marks))
    with suppress(OSError, RuntimeError):
        record = _record(folder)
        known = record.read_text(encoding="utf-8") if record.is_file() else ""
        new = [each for each in new if not each.marks <= {*known.split("\n")}]
        if new:
            write_whole(record, now)
    if new:
        names = printable(", ".join(Path(each.origin.file).name for each in new))
        line = "note: running the code in %s (new or changed: %s). %s=0 turns this off."
        logging.getLogger("n2n_ablate").warning(line, printable(str(folder)), names, LOCAL_SWITCH)


def _record(folder: Path) -> Path:
    """Return the file that remembers what was announced of a folder; its own folder is made."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    (state / "n2n-ablate").mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return state / "n2n-ablate" / f"plugin-files-{name}.txt"
