"""A TOML table that is read with care: unknown keys, missing keys and wrong types are all named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from n2n_ablate.errors import StudyError, nearest


class Table:
    """A TOML table with a known set of keys; every reading is checked."""

    def __init__(self, data: object, where: str, keys: list[str] | None = None) -> None:
        if not isinstance(data, Mapping):
            msg = f"'{where}' must be a table, got {data!r}"
            raise StudyError(msg)
        self.data = data
        self.where = where
        for key in data if keys is not None else ():
            if keys is not None and key not in keys:
                msg = f"unknown key '{self.at(key)}'. {nearest(key, keys)}"
                raise StudyError(msg)

    def at(self, key: str) -> str:
        """Return the full name of a key."""
        return f"{self.where}.{key}" if self.where else key

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """Return a value of the given type; without a default the key is required."""
        if key not in self.data:
            if default is None:
                msg = f"'{self.at(key)}' is missing"
                raise StudyError(msg)
            return default
        value = self.data[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            msg = f"'{self.at(key)}' must be of type {kind.__name__}, got {value!r}"
            raise StudyError(msg)
        return value

    def table(self, key: str, keys: list[str] | None = None) -> Table:
        """Return the table under a key, an empty one if there is none."""
        return Table(self.data.get(key, {}), self.at(key), keys)

    def choice(self, key: str, known: tuple[str, ...], default: str | None = None) -> str:
        """Return one of the known words."""
        value = str(self.get(key, str, default))
        if value not in known:
            msg = f"'{self.at(key)}' cannot be '{value}'. {nearest(value, known)}"
            raise StudyError(msg)
        return value
