"""A plan as plain data, and back. To read one no plugin is needed: everything is written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter

from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec, Value, plain, read_value
from n2n_ablate.study.designs import Effect
from n2n_ablate.study.model import Condition, Profile, Scale, Trial
from n2n_ablate.study.plan import Plan
from n2n_ablate.study.read import parse
from n2n_ablate.study.values import MeasuredPairs

_PROFILE = ("name", "images", "crop", "seeds", "white", "channels", "trials", "decides")


def _trial(saved: tuple[str, str, dict[str, Any], dict[str, Any]]) -> Trial:
    name, role, recipe, values = saved
    read = {key: read_value(value, key) for key, value in values.items()}
    return Trial(name, role, Recipe.from_json(recipe), read)


_Component = Annotated[Any, AfterValidator(lambda saved: ComponentSpec.read(saved, "a component"))]
_Trial = Annotated[tuple[str, str, dict[str, Any], dict[str, Any]], AfterValidator(_trial)]
_Effect = Annotated[
    tuple[str, int, tuple[str, ...], tuple[str, ...]], AfterValidator(lambda saved: Effect(*saved))
]


@dataclass(frozen=True)
class _SavedCondition:
    noise: _Component | None
    label: str
    pairs: MeasuredPairs | None


@dataclass(frozen=True)
class _Saved:
    """What is stored, but for the study: fields of a plan, as they are or made from plain data."""

    settings: tuple[str, ...]
    profile: Profile
    baseline: _Trial
    declared: tuple[_Trial, ...]
    references: tuple[_Trial, ...]
    conditions: tuple[_SavedCondition, ...]
    contrasts: tuple[str, ...]
    metrics: dict[str, _Component]
    scales: dict[str, Scale]
    whole: frozenset[str]
    strategy: _Component | None
    confirming: bool
    before: tuple[str, ...]
    effects: tuple[_Effect, ...]


_SAVED = TypeAdapter(_Saved)


def to_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data: the study file as it was read, and all that was decided."""
    return {
        "file": plan.study.text,
        "path": str(plan.study.path),
        "settings": list(plan.settings),
        "profile": {
            **{name: getattr(plan.profile, name) for name in _PROFILE},
            "set": _plain(plan.profile.changes),
            "confirm": plan.profile.confirm and asdict(plan.profile.confirm),
        },
        "baseline": _trial_json(plan.baseline),
        "declared": [_trial_json(trial) for trial in plan.declared],
        "references": [_trial_json(trial) for trial in plan.references],
        "conditions": [condition.plain() for condition in plan.conditions],
        "contrasts": list(plan.contrasts),
        "metrics": {name: spec.plain() for name, spec in plan.metrics.items()},
        "scales": {name: asdict(scale) for name, scale in plan.scales.items()},
        "whole": sorted(plan.whole),
        "strategy": plan.strategy and plan.strategy.plain(),
        "confirming": plan.confirming,
        "before": list(plan.before),
        "effects": [
            [effect.name, effect.order, effect.plus, effect.minus] for effect in plan.effects
        ],
    }


def from_json(data: Mapping[str, Any]) -> Plan:
    """Read what `to_json` wrote. Types are checked: something else may have written it."""
    profile = _given(data["profile"])
    profile["confirm"] = profile["confirm"] and _given(profile["confirm"])
    saved = _SAVED.validate_python({**data, "profile": profile})
    study = parse(str(data["file"]), Path(data["path"]))
    searched = study.factors if study.design == "search" and not saved.confirming else ()
    space = {factor.key: factor.domain for factor in searched if factor.domain is not None}
    conditions = tuple(Condition(**vars(each)) for each in saved.conditions)
    return Plan(study=study, space=space, **{**vars(saved), "conditions": conditions})


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without empty lists, which a study file may not have."""
    return {key: value for key, value in table.items() if value != []}


def _trial_json(trial: Trial) -> list[Any]:
    return [trial.name, trial.role, trial.recipe.to_json(), _plain(trial.values)]


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    return {key: plain(value) for key, value in values.items()}
