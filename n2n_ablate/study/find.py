"""Finds study files by name: those of the user before those that ship."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from n2n_ablate.errors import StudyError, nearest, no_file, reasoned


def shipped() -> dict[str, Path]:
    """Return the studies that ship with the package, by name."""
    try:
        folder = Path(str(resources.files("n2n_ablate_studies")))
    except ModuleNotFoundError:  # a checkout that is not installed
        folder = Path(__file__).resolve().parents[2] / "studies"
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def known() -> dict[str, Path]:
    """Return the studies that can be named: those in `./studies/` before those that ship."""
    return shipped() | {
        file.stem: file
        for file in sorted(Path("studies").glob("*.toml"))
        if not file.name.startswith(".")
    }


def find(name: str) -> Path:
    """Return the file of a study: a path, a file in `./studies/`, or one that ships."""
    given = Path(name)
    if given.suffix == ".toml" or "/" in name:
        with reasoned(StudyError, f"study file '{name}' cannot be read"):
            if given.is_file():
                return given
        msg = f"study file '{name}' {no_file(given)}."
        raise StudyError(msg)
    every = known()
    if name not in every:
        msg = f"no study is called '{name}'. {nearest(name, every)}"
        raise StudyError(msg)
    return every[name]
