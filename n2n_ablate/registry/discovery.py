"""Finds and loads plugins, one by one: one that fails is kept with its error, the rest works."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from n2n_ablate.errors import PluginError, printable
from n2n_ablate.registry import hookspecs

LOCAL_FOLDER = "plugins"
LOCAL_ROAD, GIVEN_ROAD = f"./{LOCAL_FOLDER}", "--plugins-dir"
OFF_SWITCH = "N2N_ABLATE_PLUGINS"
_OURS = "n2n_ablate_plugins"


@dataclass(frozen=True)
class Origin:
    """Where a plugin came from.

    Attributes:
        plugin: Its name: that of the entry point, or of the file without `.py`.
        road: `package`, `checkout`, `./plugins`, `--plugins-dir` or `file`.
        file: Its source file, if it has one.
        version: Version of the distribution, empty for a single file.
        distribution: Name of the distribution, likewise.
    """

    plugin: str
    road: str
    file: str = ""
    version: str = ""
    distribution: str = ""

    def __str__(self) -> str:
        return f"{self.plugin} {self.version}".strip() if self.road == "package" else self.file


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded: who, where in the source, and why."""

    origin: Origin
    where: str
    why: str

    def __str__(self) -> str:
        return f"plugin '{self.origin.plugin}' ({self.where}): {self.why}"


@dataclass(frozen=True)
class Found:
    """A plugin to load: call `load` and expect anything."""

    origin: Origin
    load: Callable[[], object]


def find(
    plugins_dir: Path | None = None,
    local: Path = Path(LOCAL_FOLDER),
    file: Path | None = None,
) -> Iterator[Found]:
    """Yield plugins in the order of the three roads: packages, `./plugins`, `--plugins-dir`.

    Where this is a checkout that is not installed, its own `plugins` folder comes before them.
    A file that is (or is a copy of) a module that an earlier road brought is left out. Setting
    N2N_ABLATE_PLUGINS to the empty string switches installed packages other than ours off.

    Args:
        plugins_dir: The folder of the third road.
        file: A single plugin file, loaded last if it is on none of the roads.
        local: The folder of the second, where it is not that of the working folder.
        file: A single plugin file, loaded last if it is on none of the roads.

    Raises:
        PluginError: `plugins_dir` is not a folder.
    """
    if plugins_dir is not None and not _is_folder(plugins_dir):
        msg = f"--plugins-dir: '{plugins_dir}' is not a folder. Give a folder with plugin files."
        raise PluginError(msg)
    seen: set[str] = set()
    only_ours = os.environ.get(OFF_SWITCH) == ""
    points = sorted(entry_points(group=hookspecs.PROJECT), key=lambda point: point.name)
    for point in points:
        if only_ours and not point.module.startswith(_OURS):
            continue
        spec = _spec_of(point)
        if spec and spec.startswith(os.sep):
            seen |= {str(Path(spec).resolve()), _digest(Path(spec))}
        version, name = (point.dist.version, point.dist.name) if point.dist else ("", "")
        yield Found(Origin(point.name, "package", spec, version, name), point.load)
    roads: list[tuple[Path, str]] = []
    if not any(point.module.startswith(_OURS) for point in points):  # a checkout, not installed
        roads.append((Path(__file__).resolve().parents[2] / LOCAL_FOLDER, "checkout"))
    roads.append((local, LOCAL_ROAD))
    if plugins_dir is not None:
        roads.append((plugins_dir, GIVEN_ROAD))
    for folder, road in roads:
        if not folder.is_dir():
            continue
        for own in sorted(folder.glob("*.py")):
            marks = {str(own.resolve()), _digest(own)}
            if own.name.startswith("_") or marks & seen:
                continue
            seen |= marks
            load = _load_of_ours if road == "checkout" else load_file
            yield Found(Origin(own.stem, road, str(own)), partial(load, own))
    if file is not None and not {str(file.resolve()), _digest(file)} & seen:
        yield Found(Origin(file.stem, "file", str(file)), partial(load_file, file))


def _load_of_ours(file: Path) -> ModuleType:
    """Import one of our own plugin files by the name that it has when it is installed."""
    if _OURS not in sys.modules:
        folder = file.resolve().parent
        spec = importlib.util.spec_from_file_location(
            _OURS, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            msg = f"'{folder}' is not a package of plugins"
            raise PluginError(msg)
        package = importlib.util.module_from_spec(spec)
        sys.modules[_OURS] = package  # our plugins import one another
        spec.loader.exec_module(package)
    return importlib.import_module(f"{_OURS}.{file.stem}")


def load_file(file: Path) -> ModuleType:
    """Import one plugin file under a name of its own, so that two files never collide."""
    path = file.resolve()
    name = f"n2n_ablate_local_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"'{file}' is not a Python file"
        raise PluginError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being executed
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def broken(origin: Origin, error: BaseException) -> Broken:
    """Describe why a plugin failed, with the line of its own source where that can be told."""
    if isinstance(error, SyntaxError) and error.filename:
        return Broken(origin, f"{error.filename}:{error.lineno}", f"syntax error: {error.msg}")
    own = origin.file
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        frame.lineno for frame in frames if own and Path(frame.filename).name == Path(own).name
    ]
    notes = getattr(error, "__notes__", [])
    lines += [int(note.removeprefix("line ")) for note in notes if note.startswith("line ")]
    where = own or origin.plugin
    reason = (str(error).splitlines() or ["no message"])[0]
    if not isinstance(error, PluginError):
        reason = f"{type(error).__name__}: {reason}"
    return Broken(origin, f"{where}:{lines[-1]}" if lines else where, printable(reason))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _spec_of(point: EntryPoint) -> str:
    try:
        spec = importlib.util.find_spec(point.module)
    except Exception:  # noqa: BLE001  the error shows again, with its reason, when it is loaded
        return ""
    return spec.origin or "" if spec else ""


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return str(file)
