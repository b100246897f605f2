"""What a search may vary: the ranges of the factors, checked against the components. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from n2n_ablate.components.parameters import Component, Domain, Parameter, Range
from n2n_ablate.components.recipe import Catalogue
from n2n_ablate.components.spec import ComponentSpec, Scalar
from n2n_ablate.errors import StudyError, nearest
from n2n_ablate.study.model import Factor, Study, Trial


def searched(
    study: Study, factors: Sequence[Factor], baseline: Trial, registry: Catalogue
) -> tuple[dict[str, Domain], frozenset[str]]:
    """Return the ranges of a search by key, and which keys hold whole numbers."""
    if study.design != "search":
        return {}, frozenset()
    whole = set()
    space = {factor.key: factor.domain for factor in factors if factor.domain is not None}
    for key, domain in space.items():
        kind, _, name = key.partition(".")
        if name and kind in space:
            msg = f"'{kind}' and '{key}' cannot both be searched: the parameter belongs to one component"
            raise StudyError(msg)
        if not name:
            continue  # a search over whole components: the names are checked when they are built
        spec = baseline.recipe.specs[kind]
        parameter = _parameter(registry, key, kind, spec, name)
        for end in (domain.low, domain.high) if isinstance(domain, Range) else domain.values:
            parameter.checked(_as(parameter, end), f"factor '{key}'")
        if parameter.type is int:
            whole.add(key)
    return space, frozenset(whole)


def _parameter(
    registry: Catalogue, key: str, kind: str, spec: ComponentSpec, path: str
) -> Parameter:
    name, _, rest = path.partition(".")
    known = {parameter.name: parameter for parameter in registry.get(kind, spec.name).parameters}
    if name not in known:
        msg = f"factor '{key}': {kind} '{spec.name}' has no such parameter. {nearest(name, known)}"
        raise StudyError(msg)
    inner, domain = spec.parameters[name], known[name].domain
    if rest and isinstance(inner, ComponentSpec) and isinstance(domain, Component):
        return _parameter(registry, key, domain.kind, inner, rest)
    if rest or known[name].many or isinstance(domain, Component):
        msg = f"factor '{key}': a search chooses numbers, words and true/false only. Give levels instead."
        raise StudyError(msg)
    return known[name]


def _as(parameter: Parameter, value: Scalar) -> Scalar:
    whole = isinstance(value, float) and value.is_integer() and parameter.type is int
    return int(value) if whole else value
