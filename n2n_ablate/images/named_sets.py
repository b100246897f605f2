"""Named sets of images: what they are, where their files lie, and how to get them.

A set's files are in a folder of its name: in `N2N_ABLATE_DATA`, if that is set, else in the user's
cache. Plugins, TOML files in `N2N_ABLATE_DATA` and `./image-sets.toml` add sets of the same form.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path

from n2n_ablate.errors import ImageError, nearest

DATA = "N2N_ABLATE_DATA"
"""Environment variable: the folder that holds the sets, each in a folder of its name."""
LOCAL_FILE = Path("image-sets.toml")
KINDS = ("clean", "measured")
_KEYS = ("kind", "title", "count", "layout", "licence", "citation", "page", "address", "files")


_OF_PLUGINS: dict[str, NamedSet] = {}


@dataclass(frozen=True)
class NamedSet:
    """A set of images that a study can name."""

    name: str  # given as `NAME:` in place of a folder
    kind: str  # `clean` images, or `measured` noise: shots with references
    title: str  # one line
    count: int  # images, or scenes
    layout: str  # names and sizes of the files
    licence: str = ""  # terms, as far as known
    citation: str = ""  # what to cite
    page: str = ""  # where its authors describe it
    address: str = ""  # beginning of the files' addresses; empty where nobody checked one
    # SHA-256 by name; empty where the bytes were not at hand
    files: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def folder(self) -> Path:
        """Where its files belong."""
        return data_folder() / self.name

    @property
    def missing(self) -> list[str]:
        """Names of the files that are not there; of a set without digests, one line if none is."""
        if self.files:
            return [name for name in self.files if not (self.folder / name).is_file()]
        there = self.folder.is_dir() and any(path.is_file() for path in self.folder.rglob("*"))
        return [] if there else [self.layout]

    def require(self) -> Path:
        """Return the folder with its files."""
        if self.missing:
            ways = f"put its files ({self.layout}) into '{self.folder}'"
            if self.address:
                ways = f"run: n2n-ablate images fetch {self.name}, or {ways}"
            more = ". Pairs of your own: --pairs FOLDER" if self.kind == "measured" else ""
            msg = f"the set '{self.name}' is not on this machine. To get it, {ways}{more}"
            raise ImageError(msg)
        return self.folder


def data_folder() -> Path:
    """Return the folder that holds the sets."""
    if given := os.environ.get(DATA, ""):
        return Path(given)
    import pooch

    return Path(pooch.os_cache("n2n-ablate"))


def named_sets() -> dict[str, NamedSet]:
    """Return all sets by name: those that ship, then those of plugins and of the user's own files."""
    shipped = resources.files("n2n_ablate.images") / "sets" / "sets.toml"
    sets = _read(shipped.read_text(encoding="utf-8"), "sets.toml") | _OF_PLUGINS
    given = os.environ.get(DATA, "")
    more = sorted(Path(given).glob("*.toml")) if given else []
    for path in (*more, LOCAL_FILE):
        if path.is_file():
            sets |= _of_file(path)
    return sets


def add_file(file: str | os.PathLike[str]) -> None:
    """Add the sets of a plugin's file to those that can be named in this process."""
    _OF_PLUGINS.update(_of_file(Path(file)))


def named_set(source: str) -> NamedSet | None:
    """Return the set that a source such as `kodak24:` or `kodak24:kodim09` names; None for a path."""
    name, colon, _ = source.partition(":")
    if not colon or not name.isidentifier() or Path(source).exists():
        return None
    every = named_sets()
    if name not in every:
        if len(name) == 1:  # a drive of Windows
            return None
        msg = f"no set of images is called '{name}'. {nearest(name, every)}"
        raise ImageError(msg)
    return every[name]


def fetch(wanted: NamedSet, note: Callable[[str], None] = lambda _: None) -> Path:
    """Download the files of a set that are not there yet, and check every one of them."""
    if not wanted.address or not wanted.files:
        msg = (
            f"the set '{wanted.name}' has no address that was checked. Get it from {wanted.page} and put "
            f"its files ({wanted.layout}) into '{wanted.folder}'"
        )
        raise ImageError(msg)
    import pooch

    pooch.get_logger().setLevel("ERROR")
    for number, (name, digest) in enumerate(wanted.files.items(), 1):
        path = wanted.folder / name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            continue
        note(f"{number} of {len(wanted.files)}: {name}")
        try:
            pooch.retrieve(
                wanted.address + name, f"sha256:{digest}", fname=name, path=wanted.folder
            )
        except ValueError as error:
            msg = f"'{wanted.address}{name}' is not the file that was expected: its SHA-256 differs"
            raise ImageError(msg) from error
        except OSError as error:  # those of requests are such
            reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            msg = (
                f"'{wanted.address}{name}' cannot be downloaded ({reason}). Put the files of "
                f"'{wanted.name}' ({wanted.layout}) into '{wanted.folder}' by hand"
            )
            raise ImageError(msg) from error
    return wanted.folder


def _of_file(path: Path) -> dict[str, NamedSet]:
    try:
        return _read(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"'{path}' cannot be read: {error}"
        raise ImageError(msg) from error


def _read(text: str, where: str) -> dict[str, NamedSet]:
    try:
        data = tomllib.loads(text)
    except ValueError as error:
        msg = f"'{where}' is not valid TOML: {error}"
        raise ImageError(msg) from error
    sets = {}
    for name, entry in data.items():
        if not isinstance(entry, Mapping) or not name.isidentifier() or len(name) < 2:
            msg = f"'{where}': [{name}] must be a table with a name of letters, digits and '_'"
            raise ImageError(msg)
        if unknown := [key for key in entry if key not in _KEYS]:
            msg = f"'{where}': unknown key '{name}.{unknown[0]}'. {nearest(unknown[0], _KEYS)}"
            raise ImageError(msg)
        if entry.get("kind") not in KINDS or type(entry.get("count")) is not int:
            msg = f"'{where}': '{name}' needs kind (clean or measured) and count, a whole number"
            raise ImageError(msg)
        if lost := [key for key in ("title", "layout") if not isinstance(entry.get(key), str)]:
            msg = f"'{where}': '{name}.{lost[0]}' is missing, or is no text"
            raise ImageError(msg)
        files = entry.get("files", {})
        if any("/" in file or file.startswith(".") for file in files):
            msg = f"'{where}': '{name}.files' are names, not paths"
            raise ImageError(msg)
        sets[name] = NamedSet(name, **entry)
    return sets
