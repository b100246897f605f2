"""A plan as plain data, and back. To read one no plugin is needed: everything is written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec, Value, plain, read_value
from n2n_ablate.study.designs import Effect
from n2n_ablate.study.model import Condition, Profile, Scale, Trial
from n2n_ablate.study.plan import Plan
from n2n_ablate.study.read import parse
from n2n_ablate.study.values import MeasuredPairs

_PROFILE = ("name", "images", "crop", "seeds", "white", "channels", "trials", "decides")
_SavedTrial = tuple[str, str, dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class _SavedCondition:
    label: str
    noise: Any
    pairs: MeasuredPairs | None


@dataclass(frozen=True)
class _Saved:
    file: str
    path: str
    settings: tuple[str, ...]
    profile: Profile
    baseline: _SavedTrial
    declared: tuple[_SavedTrial, ...]
    references: tuple[_SavedTrial, ...]
    conditions: tuple[_SavedCondition, ...]
    contrasts: tuple[str, ...]
    metrics: dict[str, Any]
    scales: dict[str, Scale]
    whole: frozenset[str]
    strategy: Any
    confirming: bool
    before: tuple[str, ...]
    effects: tuple[tuple[str, int, tuple[str, ...], tuple[str, ...]], ...]


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
    study = parse(saved.file, Path(saved.path))
    searched = study.factors if study.design == "search" and not saved.confirming else ()
    return Plan(
        study=study,
        profile=saved.profile,
        baseline=_trial(saved.baseline),
        declared=tuple(map(_trial, saved.declared)),
        references=tuple(map(_trial, saved.references)),
        space={factor.key: factor.domain for factor in searched if factor.domain is not None},
        whole=saved.whole,
        strategy=_strategy(saved.strategy),
        conditions=tuple(map(_condition, saved.conditions)),
        contrasts=saved.contrasts,
        metrics={name: ComponentSpec.read(spec, name) for name, spec in saved.metrics.items()},
        scales=saved.scales,
        settings=saved.settings,
        confirming=saved.confirming,
        before=saved.before,
        effects=tuple(Effect(*effect) for effect in saved.effects),
    )


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without empty lists, which a study file may not have."""
    return {key: value for key, value in table.items() if value != []}


def _strategy(saved: object) -> ComponentSpec | None:
    return None if saved is None else ComponentSpec.read(saved, "strategy")


def _condition(saved: _SavedCondition) -> Condition:
    noise, label = saved.noise, saved.label
    spec = None if noise is None else ComponentSpec.read(noise, label)
    return Condition(spec, label, saved.pairs)


def _trial_json(trial: Trial) -> list[Any]:
    return [trial.name, trial.role, trial.recipe.to_json(), _plain(trial.values)]


def _trial(saved: _SavedTrial) -> Trial:
    name, role, recipe, values = saved
    return Trial(name, role, Recipe.from_json(recipe), _values(values))


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    return {key: plain(value) for key, value in values.items()}


def _values(data: Mapping[str, Any]) -> dict[str, Value]:
    return {key: read_value(value, key) for key, value in data.items()}
