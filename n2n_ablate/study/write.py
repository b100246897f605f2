"""Writes the text of a study file from Python data with the same keys. `read` reads it back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.errors import StudyError

_SECTIONS = ("baseline", "conditions", "factors", "references", "search", "confirm", "profiles")
"""Keys that get a heading; the others are one line each."""


def to_toml(data: Mapping[str, Any]) -> str:
    """Return the text of a study file.

    Args:
        data: Keys and values as in a study file. Tuples are lists, paths are text, and NumPy's
            numbers are numbers.
    """
    lines = [
        f"{_key(key)} = {to_value(value, str(key))}"
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
                heading = f"[profiles.{_key(name)}]"
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
    return [f"{_key(key)} = {to_value(entry, f'{where}.{key}')}" for key, entry in table.items()]


def _key(key: object) -> str:
    if not isinstance(key, str):
        msg = f"a key must be text, got {key!r}"
        raise StudyError(msg)
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def to_value(value: object, where: str) -> str:
    """Return a value as TOML has it, on one line; `where` names it in messages."""
    if isinstance(value, ComponentSpec):
        value = value.plain()
    if isinstance(value, Mapping):
        inside = ", ".join(
            f"{_key(key)} = {to_value(entry, f'{where}.{key}')}" for key, entry in value.items()
        )
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, PathLike):
        value = fspath(value)
    if hasattr(value, "tolist"):  # an array or a number of NumPy's
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return f"[{', '.join(to_value(entry, f'{where}[{n}]') for n, entry in enumerate(value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)  # inf and nan as in TOML
    if isinstance(value, str):
        return _text(value)
    msg = f"'{where}' must be text, a number, true or false, a list or a table, got {value!r}"
    raise StudyError(msg)


def _text(text: str) -> str:
    """Return a basic string of TOML, which escapes as JSON does, but for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
