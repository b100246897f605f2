"""Recipes: which component fills each slot, with which parameters. Plain data, comparable, hashable."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from n2n_ablate.components.parameters import Component, Parameter
from n2n_ablate.components.spec import ComponentSpec, Scalar, read_value
from n2n_ablate.components.spec import toml as spec_toml
from n2n_ablate.errors import ParameterError, StudyError, nearest


class _Entry(Protocol):
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...


class Catalogue(Protocol):
    """What makes components by name, and knows their parameters: `registry.Registry`."""

    def build(self, kind: str, name: str, given: Mapping[str, object]) -> Any:
        """Make a component with checked parameters."""
        ...

    def get(self, kind: str, name: str) -> _Entry:
        """Return what is known of a component."""
        ...

    def part(self, kind: str, component: object) -> ComponentSpec:
        """Return a component, or what names it, as data."""
        ...


@dataclass(frozen=True)
class Recipe:
    """A complete denoiser: one component per slot."""

    specs: Mapping[str, ComponentSpec]

    def __hash__(self) -> int:
        return hash(tuple(sorted((kind, hash(spec)) for kind, spec in self.specs.items())))

    def replace(self, key: str, value: object) -> Recipe:
        """Return a copy with one thing changed.

        Args:
            key: `kind` (the value is a component), `kind.parameter`, or longer where that is a component.
            value: The new component or parameter value.

        Raises:
            StudyError: The key has no such form, or the value does not fit it.
        """
        kind, dot, path = key.partition(".")
        if kind not in self.specs:
            msg = f"'{key}': no slot is called '{kind}'. {nearest(kind, self.specs)}"
            raise StudyError(msg)
        if dot:
            spec = self.specs[kind].replace(path, read_value(value, f"'{key}'"))
        else:
            spec = (
                value if isinstance(value, ComponentSpec) else ComponentSpec.read(value, f"'{key}'")
            )
        return Recipe({**self.specs, kind: spec})

    def flat(self) -> dict[str, Scalar]:
        """Return `{"sampler": name, "sampler.center": value, ...}`, for tables and trackers.

        A parameter that is a component gives its name, and its parameters under a longer key.
        """
        flat: dict[str, Scalar] = {}
        for kind, spec in self.specs.items():
            flat |= spec.flat(kind)
        return flat

    def resolved(self, registry: Catalogue) -> Recipe:
        """Return the recipe with every parameter written out, defaults included.

        Raises:
            AblateError: A component or a parameter does not exist or cannot be.
        """
        return Recipe({kind: resolved(registry, kind, spec) for kind, spec in self.specs.items()})

    def build(self, registry: Catalogue) -> dict[str, Any]:
        """Make the components, by kind."""
        return {
            kind: registry.build(kind, spec.name, spec.parameters)
            for kind, spec in self.specs.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` reads it back."""
        return {kind: spec.plain() for kind, spec in self.specs.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what `to_json` wrote."""
        return cls({kind: ComponentSpec.read(spec, f"'{kind}'") for kind, spec in data.items()})


def toml(recipe: Recipe) -> str:
    """Return a recipe as the `[baseline]` of a study file."""
    lines = [f"{kind} = {spec_toml(spec)}" for kind, spec in recipe.specs.items()]
    return "\n".join(["[baseline]", *lines])


def resolved(registry: Catalogue, kind: str, spec: ComponentSpec) -> ComponentSpec:
    """Return a component with every parameter written out and checked."""
    registry.build(kind, spec.name, spec.parameters)  # the component may refuse what fits singly
    entry = registry.get(kind, spec.name)
    values = {}
    for parameter in entry.parameters:
        given = spec.parameters.get(parameter.name, parameter.default)
        value = parameter.checked(given, f"{kind} '{spec.name}'")
        if isinstance(parameter.domain, Component):
            inner = parameter.domain.kind
            items = value if parameter.many else (value,)
            specs = tuple(
                resolved(registry, inner, registry.part(inner, component)) for component in items
            )
            value = specs if parameter.many else specs[0]
        values[parameter.name] = value
    return ComponentSpec(spec.name, values)


def canonical(data: object) -> str:
    """Return JSON that is equal for equal data, whatever the order of keys."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, ComponentSpec):
        return value.plain()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    msg = f"{value!r} is not plain data"
    raise ParameterError(msg)
