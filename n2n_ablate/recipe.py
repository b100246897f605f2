"""Recipes: which component fills each slot, with which parameters. Plain data, comparable, hashable."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.errors import ParameterError, PluginError, StudyError, nearest
from n2n_ablate.registry import Registry
from n2n_ablate.space import Value


@dataclass(frozen=True)
class Part:
    """One component by name, with the parameters that were given."""

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.parameters.items()))))

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        return f"{self.name}({inside})" if inside else self.name

    @classmethod
    def read(cls, value: object, where: str) -> Part:
        """Read `"name"` or `{ name = "name", parameter = value }`.

        Raises:
            StudyError: It is neither; the message starts with `where`.
        """
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            rest = {str(key): item for key, item in value.items() if key != "name"}
            if all(isinstance(item, bool | int | float | str) for item in rest.values()):
                return cls(value["name"], rest)
        msg = f"{where} must be a name or {{ name = ..., parameter = value }}, got {value!r}"
        raise StudyError(msg)


@dataclass(frozen=True)
class Recipe:
    """A complete denoiser: one part per slot."""

    parts: Mapping[str, Part]

    def __hash__(self) -> int:
        return hash(tuple(sorted((kind, hash(part)) for kind, part in self.parts.items())))

    def replace(self, key: str, value: object) -> Recipe:
        """Return a copy with one thing changed.

        Args:
            key: `kind` (the value is a part) or `kind.parameter`.
            value: The new part or parameter value.

        Raises:
            StudyError: The key has no such form, or the value does not fit it.
        """
        kind, dot, parameter = key.partition(".")
        if kind not in self.parts:
            msg = f"'{key}': no slot is called '{kind}'. {nearest(kind, self.parts)}"
            raise StudyError(msg)
        if not dot:
            part = value if isinstance(value, Part) else Part.read(value, f"'{key}'")
        elif isinstance(value, bool | int | float | str):
            old = self.parts[kind]
            part = Part(old.name, {**old.parameters, parameter: value})
        else:
            msg = f"'{key}' must be a number, a word or true/false, got {value!r}"
            raise StudyError(msg)
        return Recipe({**self.parts, kind: part})

    def flat(self) -> dict[str, Value]:
        """Return `{"sampler": name, "sampler.center": value, ...}`, for tables and trackers."""
        flat: dict[str, Value] = {}
        for kind, part in self.parts.items():
            flat[kind] = part.name
            flat |= {f"{kind}.{key}": value for key, value in part.parameters.items()}
        return flat

    def resolved(self, registry: Registry) -> Recipe:
        """Return the recipe with every parameter written out, defaults included.

        Raises:
            AblateError: A component or a parameter does not exist or cannot be.
        """
        return Recipe({kind: resolved(registry, kind, part) for kind, part in self.parts.items()})

    def build(self, registry: Registry) -> dict[str, Any]:
        """Make the components, by kind."""
        return {
            kind: registry.build(kind, part.name, part.parameters)
            for kind, part in self.parts.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` reads it back."""
        return {kind: [part.name, dict(part.parameters)] for kind, part in self.parts.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what `to_json` wrote."""
        return cls({kind: Part(name, values) for kind, (name, values) in data.items()})


def missing_kinds(parts: Mapping[str, Part]) -> list[str]:
    """Return the slots of a recipe that are still empty."""
    return [kind for kind in RECIPE_KINDS if kind not in parts]


def resolved(registry: Registry, kind: str, part: Part) -> Part:
    """Return a part with every parameter written out and checked."""
    registry.build(kind, part.name, part.parameters)  # the component may refuse what fits singly
    entry = registry.get(kind, part.name)
    values = {}
    for parameter in entry.parameters:
        given = part.parameters.get(parameter.name, parameter.default)
        values[parameter.name] = parameter.checked(given, f"{kind} '{part.name}'")
    return Part(part.name, values)


def source_digest(factory: Any) -> str:
    """Return a hash of the code behind a component: its module, comments and docstrings stripped.

    A module that belongs to a package is hashed with all modules of the package that it was
    loaded from, because a component may call its neighbours.
    """
    while isinstance(factory, functools.partial):
        factory = factory.func
    module = sys.modules.get(getattr(factory, "__module__", ""))
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        try:
            return _hash([inspect.getsource(factory)])
        except (OSError, TypeError) as error:
            msg = (
                f"the source of {factory!r} cannot be read, so its results could not be told apart"
            )
            raise PluginError(msg) from error
    own_package = (module.__package__ or "") not in ("", "n2n_ablate_plugins")
    files = sorted(Path(file).parent.glob("*.py")) if own_package else [Path(file)]
    return _hash([path.read_text(encoding="utf-8") for path in files])


def _hash(sources: list[str]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        tree = ast.parse(source.strip())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _is_docstring(body[0]):
                body[:] = body[1:] or [ast.Pass()]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def _is_docstring(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def canonical(data: object) -> str:
    """Return JSON that is equal for equal data, whatever the order of keys."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    msg = f"{value!r} is not plain data"
    raise ParameterError(msg)
