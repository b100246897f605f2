"""Parts: a component as data, by name and parameters. Comparable, hashable, plain in TOML and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any, TypeAlias, Union

from n2n_ablate.errors import StudyError

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Union[Scalar, "ComponentSpec", tuple[Union[Scalar, "ComponentSpec"], ...]]
"""What a parameter can be in a file: a number, word or truth value, a component, or a list."""


@dataclass(frozen=True)
class ComponentSpec:
    """One component by name, with the parameters that were given."""

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.parameters.items()))))

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={written(value)}" for key, value in self.parameters.items())
        return f"{self.name}({inside})" if inside else self.name

    @classmethod
    def read(cls, value: object, where: str) -> ComponentSpec:
        """Read `"name"` or `{ name = "name", parameter = value }`.

        Raises:
            StudyError: It is neither; the message starts with `where`.
        """
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            rest = {str(key): parameter for key, parameter in value.items() if key != "name"}
            inside = {
                key: read_value(parameter, f"{where}: {key}") for key, parameter in rest.items()
            }
            return cls(value["name"], inside)
        msg = f"{where} must be a name or {{ name = ..., parameter = value }}, got {value!r}"
        raise StudyError(msg)

    def replace(self, path: str, value: Value) -> ComponentSpec:
        """Return a copy with one parameter changed.

        Args:
            path: `parameter`, or `parameter.parameter` for one of a component that is a parameter.
            value: The new value.

        Raises:
            StudyError: The path leads through something that is no component.
        """
        head, dot, rest = path.partition(".")
        if dot:
            inner = self.parameters.get(head)
            inner = ComponentSpec(inner) if isinstance(inner, str) else inner
            if not isinstance(inner, ComponentSpec):
                msg = f"'{self.name}': '{head}' is not given as a component, so it has no '{rest}'"
                raise StudyError(msg)
            value = inner.replace(rest, value)
        return ComponentSpec(self.name, {**self.parameters, head: value})

    def flat(self, prefix: str) -> dict[str, Scalar]:
        """Return `{prefix: name, "prefix.parameter": value, ...}`; a list is one text."""
        values: dict[str, Scalar] = {prefix: self.name}
        for key, value in self.parameters.items():
            if isinstance(value, ComponentSpec):
                values |= value.flat(f"{prefix}.{key}")
            else:
                values[f"{prefix}.{key}"] = written(value) if isinstance(value, tuple) else value
        return values

    def plain(self) -> dict[str, Any]:
        """Return `{"name": name, parameter: value, ...}` of plain data; `read` reads it back."""
        return {
            "name": self.name,
            **{key: plain(parameter) for key, parameter in self.parameters.items()},
        }


def read_value(value: object, where: str) -> Value:
    """Read a parameter's value from TOML or JSON: a table is a component, a list becomes a tuple.

    Raises:
        StudyError: It is something else, or a list of lists; the message starts with `where`.
    """
    if isinstance(value, Mapping):
        return ComponentSpec.read(value, where)
    if isinstance(value, list | tuple):
        return tuple(_scalar_or_spec(element, where) for element in value)
    return _scalar_or_spec(value, where)


def written(value: Value) -> str:
    """Return a value as one text: `0.1`, `stripe(axis=rows)`, `[diagonal, stripe]`."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    return str(value)


def toml(value: object, where: str = "") -> str:
    """Return a value as a study file has it, on one line; `read_value` reads it back.

    Raises:
        StudyError: A file cannot hold it; the message begins with `where`.
    """
    if isinstance(value, ComponentSpec):
        value = value.plain()
    if isinstance(value, Mapping):
        inside = ", ".join(
            f"{toml_key(key)} = {toml(entry, f'{where}.{key}')}" for key, entry in value.items()
        )
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, PathLike):
        value = fspath(value)
    if hasattr(value, "tolist"):  # an array or a number of NumPy's
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return f"[{', '.join(toml(entry, f'{where}[{n}]') for n, entry in enumerate(value))}]"
    if isinstance(value, float):
        return repr(value)  # TOML writes inf and nan as Python does
    if isinstance(value, bool | int | str):
        # Basic strings of TOML escape as JSON does, but for the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    msg = f"'{where}' must be text, a number, true or false, a list or a table, got {value!r}"
    raise StudyError(msg)


def toml_key(key: object) -> str:
    """Return a key as a study file has it, in quotes where it needs them."""
    if not isinstance(key, str):
        msg = f"a key must be text, got {key!r}"
        raise StudyError(msg)
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)


def _scalar_or_spec(value: object, where: str) -> Scalar | ComponentSpec:
    if isinstance(value, Mapping | ComponentSpec):
        return value if isinstance(value, ComponentSpec) else ComponentSpec.read(value, where)
    if isinstance(value, bool | int | float | str):
        return value
    msg = f"{where} must be a number, a word, true/false, a component or a list, got {value!r}"
    raise StudyError(msg)


def plain(value: Value) -> Any:
    """Return a value as plain data: components as tables, tuples as lists."""
    if isinstance(value, tuple):
        return [plain(element) for element in value]
    return value.plain() if isinstance(value, ComponentSpec) else value
