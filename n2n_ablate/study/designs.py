"""How a design turns the levels of the factors into trials, effects, and the ranges of a search. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from n2n_ablate.components.parameters import Component, Domain, Parameter, Range
from n2n_ablate.components.recipe import Catalogue, Recipe, resolved
from n2n_ablate.components.spec import ComponentSpec, Value, toml
from n2n_ablate.errors import AblateError, StudyError, nearest
from n2n_ablate.study import limits
from n2n_ablate.study.model import Factor, Study, Trial, named
from n2n_ablate.study.values import Level

Change: TypeAlias = tuple[str, Level]
"""A factor's key and one of its levels."""


@dataclass(frozen=True)
class Effect:
    """What one change is worth over all cells of a factorial, or two together beyond their sum."""

    name: str  # `sampler=stripe`, or `sampler=stripe x loss.symmetric=false`
    order: int  # 1 for a main effect, 2 for an interaction
    # names of the trials; the effect is `order` times the difference of their means
    plus: tuple[str, ...]
    minus: tuple[str, ...]


def declare(
    study: Study, factors: Sequence[Factor], baseline: Trial, registry: Catalogue
) -> tuple[tuple[Trial, ...], tuple[Effect, ...]]:
    """Return the declared trials of a design, without the baseline, and a factorial's effects."""
    for factor in factors:
        if study.design != "search" and not factor.levels:
            msg = f"factor '{factor.key}' has no levels; design '{study.design}' needs some"
            raise StudyError(msg)
    trials = _Trials(factors, baseline, registry)
    every = [[(factor.key, level) for level in factor.levels] for factor in factors]
    together = study.design in ("grid", "factorial")
    if together and math.prod(map(len, every)) > limits.MOST_TRIALS:
        msg = f"'factors' combine to more than {limits.MOST_TRIALS:,} trials"
        raise StudyError(msg)
    effects: tuple[Effect, ...] = ()
    if study.design == "factorial":
        effects = _chosen(study, tuple(_factorial(trials, every)))
    elif study.design == "grid":
        for combination in itertools.product(*every):
            trials.add(combination)
    else:  # the others change one factor at a time; what differs is what the levels mean
        for change in itertools.chain(*every):
            trials.add([change])
    return trials.declared, effects


class _Trials:
    """The trials of a design, each recipe once."""

    def __init__(self, factors: Sequence[Factor], baseline: Trial, registry: Catalogue) -> None:
        self.baseline = baseline
        self._factors, self._registry = factors, registry
        self._known: dict[Recipe, Trial] = {baseline.recipe: baseline}

    @property
    def declared(self) -> tuple[Trial, ...]:
        """All but the baseline."""
        return tuple(self._known.values())[1:]

    def add(self, combination: Sequence[Change]) -> Trial:
        """Return the trial with these changes of the baseline: a new one, or the one that equals it."""
        name = named(dict(combination))
        recipe = self.baseline.recipe
        # Whole components first: one that came after its parameter would undo it.
        for key, level in sorted(combination, key=lambda change: change[0].count(".")):
            try:
                recipe = changed(recipe, level.changes(key), self._registry)
            except AblateError as error:
                hint = _inside(key, level, self._factors, self._registry)
                msg = f"trial '{name}': {error}{hint}"
                raise type(error)(msg) from error
        values = factor_values(recipe, self._factors)
        return self._known.setdefault(recipe, Trial(name, "declared", recipe, values))


def _factorial(trials: _Trials, every: Sequence[Sequence[Change]]) -> Iterable[Effect]:
    """Add every cell of a factorial and return its effects."""
    # A level that is the baseline's is that cell already.
    new = [
        [change for change in changes if trials.add([change]) is not trials.baseline]
        for changes in every
    ]
    axes = [changes for changes in new if changes]
    cells = {}
    for levels in itertools.product(*(range(len(changes) + 1) for changes in axes)):
        combination = [
            changes[level - 1] for changes, level in zip(axes, levels, strict=True) if level
        ]
        cells[levels] = trials.add(combination).name
    return _effects(cells, axes)


def repeated(
    study: Study, factors: Sequence[Factor], baseline: Recipe, registry: Catalogue
) -> tuple[str, ...]:
    """Return the levels that give the baseline itself, as `key=level`. In a grid they make sense."""
    return tuple(
        named({factor.key: level})
        for factor in factors
        if study.design != "grid"
        for level in factor.levels
        if changed(baseline, level.changes(factor.key), registry) == baseline
    )


def changed(recipe: Recipe, changes: Mapping[str, object], registry: Catalogue) -> Recipe:
    """Return a recipe whose parameters are all written out with changes, and these written out too."""
    new = recipe
    for key, value in changes.items():
        new = new.replace(key, value)
    return Recipe(
        {
            kind: spec if spec is recipe.specs.get(kind) else resolved(registry, kind, spec)
            for kind, spec in new.specs.items()
        }
    )


def _inside(key: str, level: Level, factors: Sequence[Factor], registry: Catalogue) -> str:
    """Return how to vary a parameter that only some levels of its component have, else nothing."""
    kind, _, name = key.partition(".")
    whole = next((factor for factor in factors if factor.key == kind), None)
    values = [level.value for level in whole.levels] if whole else []
    specs = [
        ComponentSpec(value) if isinstance(value, str) else value
        for value in values
        if isinstance(value, str | ComponentSpec)
    ]
    known = [
        [parameter.name for parameter in registry.get(kind, spec.name).parameters] for spec in specs
    ]
    having = [spec for spec, names in zip(specs, known, strict=True) if name in names]
    if not having or len(having) == len(specs):
        return ""
    other = next(spec for spec in specs if spec not in having)
    levels = (other if other.parameters else other.name, having[0].replace(name, level.value))
    return (
        f" Only some levels of '{kind}' have a '{name}': leave the factor '{key}' out and write it "
        f"into those levels, as tables: {kind} = {toml(levels)}"
    )


def factor_values(recipe: Recipe, factors: Sequence[Factor]) -> dict[str, Value]:
    """Return where a recipe lies among the factors."""
    flat = recipe.flat()
    return {factor.key: flat[factor.key] for factor in factors if factor.key in flat}


def _effects(
    cells: Mapping[tuple[int, ...], str], axes: Sequence[Sequence[Change]]
) -> Iterable[Effect]:
    """Yield main effects, then interactions of two factors; each against the baseline's levels.

    `cells`: name of the trial by level of each factor, 0 for the baseline's.
    """
    for order in (1, 2):
        for chosen in itertools.combinations(range(len(axes)), order):
            for levels in itertools.product(*(range(1, len(axes[axis]) + 1) for axis in chosen)):
                signed: dict[int, list[str]] = {1: [], -1: []}
                for cell, trial in cells.items():
                    cell_levels = [cell[axis] for axis in chosen]
                    if all(at in (0, to) for at, to in zip(cell_levels, levels, strict=True)):
                        signed[(-1) ** cell_levels.count(0)].append(trial)
                changes = [axes[axis][to - 1] for axis, to in zip(chosen, levels, strict=True)]
                name = " x ".join(named(dict([change])) for change in changes)
                yield Effect(name, order, tuple(signed[1]), tuple(signed[-1]))


def _chosen(study: Study, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Return the effects that the study declares as contrasts; all of them if it declares none."""
    names = {effect.name.replace(" x ", ", "): effect for effect in effects}
    for name in study.contrasts:
        if name not in names:
            msg = f"contrast '{name}' is no effect of this factorial. {nearest(name, names)}"
            raise StudyError(msg)
    return tuple(names[name] for name in study.contrasts) or effects


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
            whole_end = isinstance(end, float) and end.is_integer() and parameter.type is int
            parameter.checked(int(end) if whole_end else end, f"factor '{key}'")
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
