"""Recipes: which component fills each slot, with which parameters. Plain data, comparable, hashable."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.errors import ParameterError, PluginError, StudyError, nearest
from n2n_ablate.part import Part, Scalar, read_value
from n2n_ablate.registry import Entry, Registry
from n2n_ablate.space import Component


@dataclass(frozen=True)
class Recipe:
    """A complete denoiser: one part per slot."""

    parts: Mapping[str, Part]

    def __hash__(self) -> int:
        return hash(tuple(sorted((kind, hash(part)) for kind, part in self.parts.items())))

    def replace(self, key: str, value: object) -> Recipe:
        """Return a copy with one thing changed.

        Args:
            key: `kind` (the value is a part), `kind.parameter`, or longer where that is a component.
            value: The new part or parameter value.

        Raises:
            StudyError: The key has no such form, or the value does not fit it.
        """
        kind, dot, path = key.partition(".")
        if kind not in self.parts:
            msg = f"'{key}': no slot is called '{kind}'. {nearest(kind, self.parts)}"
            raise StudyError(msg)
        if dot:
            part = self.parts[kind].replace(path, read_value(value, f"'{key}'"))
        else:
            part = value if isinstance(value, Part) else Part.read(value, f"'{key}'")
        return Recipe({**self.parts, kind: part})

    def flat(self) -> dict[str, Scalar]:
        """Return `{"sampler": name, "sampler.center": value, ...}`, for tables and trackers.

        A parameter that is a component gives its name, and its parameters under a longer key.
        """
        flat: dict[str, Scalar] = {}
        for kind, part in self.parts.items():
            flat |= part.flat(kind)
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

    def entries(self, registry: Registry) -> dict[str, Entry]:
        """Return how the components are registered, by kind."""
        return {kind: registry.get(kind, part.name) for kind, part in self.parts.items()}

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` reads it back."""
        return {kind: part.plain() for kind, part in self.parts.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what `to_json` wrote."""
        return cls({kind: Part.read(item, f"'{kind}'") for kind, item in data.items()})


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
        value = parameter.checked(given, f"{kind} '{part.name}'")
        if isinstance(parameter.domain, Component):
            inner = parameter.domain.kind
            items = value if parameter.many else (value,)
            parts = tuple(resolved(registry, inner, registry.part(inner, item)) for item in items)
            value = parts if parameter.many else parts[0]
        values[parameter.name] = value
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
    return _hash([path.read_bytes() for path in files])  # each says what its encoding is


def _hash(sources: Sequence[str | bytes]) -> str:
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
    if isinstance(value, Part):
        return value.plain()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    msg = f"{value!r} is not plain data"
    raise ParameterError(msg)
