"""Measured noise on disk: which file is a shot, which its reference. Names and folders decide, no pixel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from n2n_ablate.errors import ImageError, no_file
from n2n_ablate.images.write import SUFFIXES

_REFERENCE = frozenset(
    ("mean", "gt", "clean", "reference", "ref", "truth", "groundtruth", "target")
)
_NOISY = frozenset(("real", "noisy", "raw", "noise", "shot", "shots", "input"))
_FEWEST_SHOTS = 4  # of a scene without a reference, whose mean is taken for one
_MOST_FILES = 100_000
READ_SUFFIXES = (*SUFFIXES, ".npy", ".npz", ".gif", ".pgm", ".ppm", ".pnm")
"""Endings of the files of a folder that count as images."""

LAYOUTS = (
    "NAME_mean and NAME_real; a folder GT and a folder Noisy with equal names, or with NAME_1, NAME_2 "
    "for several shots; gt/SCENE and raw/SCENE; one folder per scene with a file called mean, gt or "
    "clean beside the shots"
)


Key: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""What shots and their reference share: folders, and words of the name."""


@dataclass(frozen=True)
class ScenePaths:
    """The files of one scene."""

    name: str  # of the scene
    reference: Path | None  # its reference; None where the mean of the shots has to serve
    shots: tuple[Path, ...]  # in the order of their names


@dataclass(frozen=True)
class _Entry:
    path: Path
    role: str  # `reference`, `noisy` or empty
    folder: tuple[str, ...]  # names of folders and words of the name that are no role
    words: tuple[str, ...]


def find_scenes(folder: Path, reference: str = "", noisy: str = "") -> list[ScenePaths]:
    """Return the scenes of a folder, in the order of their names.

    `reference`: a folder, or a pattern with `*`, inside `folder`; empty to recognise the layout.
    """
    if reference or noisy:
        if not (reference and noisy):
            msg = "measured pairs need both 'reference' and 'noisy', or one folder for both"
            raise ImageError(msg)
        entries = [*_given(folder, reference, "reference"), *_given(folder, noisy, "noisy")]
    else:
        entries = _with_roles(folder, [_entry(path, folder) for path in _files(folder)])
    return _matched(folder, entries)


def looks_paired(folder: Path) -> bool:
    """Say whether a folder given as one of clean images holds shots with references."""
    try:
        entries = [_entry(path, folder) for path in _files(folder)]
        return {"reference", "noisy"} <= {entry.role for entry in entries} and bool(
            _matched(folder, _with_roles(folder, entries))
        )
    except ImageError:
        return False


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        why = "is a file, not a folder" if folder.is_file() else no_file(folder)
        msg = f"'{folder}' {why}. Name a folder with measured pairs: {LAYOUTS}."
        raise ImageError(msg)
    files = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if is_image_file(path) and not any(part.startswith(".") for part in inside[:-1]):
            files.append(path)
        if len(files) > _MOST_FILES:
            msg = f"'{folder}' holds more than {_MOST_FILES:,} images; name a folder further down"
            raise ImageError(msg)
    if not files:
        msg = f"no images in '{folder}' or the folders in it"
        raise ImageError(msg)
    return sorted(files)


def is_image_file(path: Path) -> bool:
    """Say whether a file of a folder counts as an image, by its name alone."""
    hidden = path.name.startswith(".") and not path.name.startswith("..")
    return path.suffix.lower() in READ_SUFFIXES and not hidden


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\W_]+", text) if word)


def _role_of(words: Iterable[str]) -> str:
    lower = {word.lower() for word in words}
    return "reference" if lower & _REFERENCE else "noisy" if lower & _NOISY else ""


def _entry(path: Path, folder: Path) -> _Entry:
    parents = path.relative_to(folder).parts[:-1]
    words = _words(path.stem)
    role = _role_of(words) or next(
        (_role_of(_words(p)) for p in parents[::-1] if _role_of(_words(p))), ""
    )
    plain = tuple(word for word in words if not _role_of([word]))
    return _Entry(path, role, tuple(p for p in parents if not _role_of(_words(p))), plain)


def _given(folder: Path, pattern: str, role: str) -> Iterator[_Entry]:
    if "*" in pattern:
        form = re.compile("(.*)".join(map(re.escape, pattern.split("*"))))
        for path in _files(folder):
            if match := form.fullmatch(path.relative_to(folder).as_posix()):
                yield _Entry(path, role, (), _words("_".join(match.groups())))
        return
    inside = folder / pattern
    for path in _files(inside):
        entry = _entry(path, inside)
        yield _Entry(path, role, entry.folder, entry.words)


def _with_roles(folder: Path, entries: Sequence[_Entry]) -> list[_Entry]:
    """Return the entries with roles where a file's neighbours tell what it is."""
    roles = {entry.role for entry in entries}
    if "reference" not in roles and "noisy" in roles:  # photo.png beside photo_noisy.png
        return [_Entry(o.path, o.role or "reference", o.folder, o.words) for o in entries]
    if roles == {""} and not all(entry.folder for entry in entries):
        msg = (
            f"'{folder}' holds images, but nothing tells shots from references. Layouts that are "
            f'recognised: {LAYOUTS}. Or name both: {{ reference = "...", noisy = "..." }}'
        )
        raise ImageError(msg)
    return [_Entry(o.path, o.role or "noisy", o.folder, o.words) for o in entries]


def _matched(folder: Path, entries: Sequence[_Entry]) -> list[ScenePaths]:
    references = [entry for entry in entries if entry.role == "reference"]
    by_key = {(entry.folder, entry.words): entry for entry in references}
    if len(by_key) < len(references):
        twice = next(
            entry for entry in references if by_key[entry.folder, entry.words] is not entry
        )
        other = by_key[twice.folder, twice.words].path
        msg = f"'{twice.path}' and '{other}' are references of one name; rename one"
        raise ImageError(msg)
    shots: dict[Key, list[Path]] = {}
    for entry in entries:
        if entry.role == "noisy":
            shots.setdefault(_key_of(entry, by_key), []).append(entry.path)
    for key, paths in shots.items():
        if key not in by_key and (len(paths) < _FEWEST_SHOTS or references):
            msg = f"'{paths[0]}' has no reference in '{folder}'. Give its reference the same name"
            if not references:
                msg += f", or at least {_FEWEST_SHOTS} shots per scene: their mean then serves"
            raise ImageError(msg)
    if lonely := [entry.path for key, entry in by_key.items() if key not in shots]:
        msg = f"the reference '{lonely[0]}' has no noisy shot in '{folder}'. Give one the same name"
        raise ImageError(msg)
    if not shots:
        msg = f"no measured pairs in '{folder}'. Layouts that are recognised: {LAYOUTS}"
        raise ImageError(msg)
    scenes = []
    for key, paths in sorted(shots.items()):
        reference = by_key[key].path if key in by_key else None
        name = "_".join((*key[0], *key[1])) or folder.resolve().name
        scenes.append(ScenePaths(name, reference, tuple(paths)))
    return scenes


def _key_of(shot: _Entry, references: dict[Key, _Entry]) -> Key:
    """Return the key of a shot's reference: the same name, the longest beginning, the only one."""
    for length in range(len(shot.words), 0, -1):
        if (shot.folder, shot.words[:length]) in references:
            return shot.folder, shot.words[:length]
    beside = [key for key in references if key[0] == shot.folder]
    if len(beside) == 1 and (shot.folder or len(references) == 1):
        return beside[0]
    return (shot.folder, ()) if not references else (shot.folder, shot.words)
