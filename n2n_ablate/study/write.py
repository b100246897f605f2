"""Writes the text of a study file from Python data with the same keys. `read` reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from n2n_ablate.components.spec import toml, toml_key

_SECTIONS = ("baseline", "conditions", "factors", "references", "search", "confirm", "profiles")
"""Keys that get a heading; the others are one line each."""


def to_toml(data: Mapping[str, Any]) -> str:
    """Return the text of a study file.

    `data`: keys and values as in a study file. Tuples are lists, paths are text, and NumPy's numbers are
    numbers.
    """
    lines = [
        f"{toml_key(key)} = {toml(value, str(key))}"
        for key, value in data.items()
        if not _has_heading(key, value)
    ]
    for key, value in data.items():
        if not _has_heading(key, value):
            continue
        if key == "conditions":
            for condition in value:
                lines += ["", "[[conditions]]", *_lines(condition, key)]
        elif key == "profiles":
            for name, profile in value.items():
                heading = f"[profiles.{toml_key(name)}]"
                lines += ["", heading, *_lines(profile, f"profiles.{name}")]
        else:
            lines += ["", f"[{key}]", *_lines(value, key)]
    return "\n".join(lines) + "\n"


def _has_heading(key: object, value: object) -> bool:
    """Say whether a key is written as a section; what has the wrong form is written as it is."""
    if key not in _SECTIONS:
        return False
    if key == "conditions":
        return isinstance(value, list | tuple) and all(isinstance(x, Mapping) for x in value)
    if key == "profiles":
        return isinstance(value, Mapping) and all(isinstance(x, Mapping) for x in value.values())
    return isinstance(value, Mapping)


def _lines(table: Mapping[str, Any], where: str) -> list[str]:
    return [f"{toml_key(key)} = {toml(entry, f'{where}.{key}')}" for key, entry in table.items()]
