"""A plan as plain data, and back. To read one no plugin is needed: everything is written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec, Value, plain, read_value
from n2n_ablate.study.designs import Effect
from n2n_ablate.study.model import Condition, Confirm, MeasuredPairs, Profile, Scale, Trial
from n2n_ablate.study.plan import Plan
from n2n_ablate.study.read import parse

_PROFILE = ("name", "images", "crop", "seeds", "white", "channels", "trials", "decides")


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
    """Read what `to_json` wrote."""
    study = parse(data["file"], Path(data["path"]))
    profile = {name: _tuples(data["profile"][name]) for name in _PROFILE}
    searched = study.factors if study.design == "search" and not data["confirming"] else ()
    return Plan(
        study=study,
        profile=Profile(
            **profile,
            changes=_values(data["profile"]["set"]),
            confirm=_confirm(data["profile"]["confirm"]),
        ),
        baseline=_trial(data["baseline"]),
        declared=tuple(map(_trial, data["declared"])),
        references=tuple(map(_trial, data["references"])),
        space={factor.key: factor.domain for factor in searched if factor.domain is not None},
        whole=frozenset(data["whole"]),
        strategy=data["strategy"] and ComponentSpec.read(data["strategy"], "strategy"),
        conditions=tuple(map(_condition, data["conditions"])),
        contrasts=tuple(data["contrasts"]),
        metrics={name: ComponentSpec.read(spec, name) for name, spec in data["metrics"].items()},
        scales={name: Scale(**scale) for name, scale in data["scales"].items()},
        settings=tuple(data["settings"]),
        confirming=data["confirming"],
        before=tuple(data.get("before", ())),
        effects=tuple(
            Effect(name, order, tuple(plus), tuple(minus))
            for name, order, plus, minus in data["effects"]
        ),
    )


def _condition(data: Mapping[str, Any]) -> Condition:
    noise, pairs = data["noise"], data["pairs"]
    return Condition(
        None if noise is None else ComponentSpec.read(noise, data["label"]),
        data["label"],
        None if pairs is None else MeasuredPairs(**pairs),
    )


def _confirm(data: Mapping[str, Any] | None) -> Confirm | None:
    return None if data is None else Confirm(**{key: _tuples(each) for key, each in data.items()})


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _trial_json(trial: Trial) -> list[Any]:
    return [trial.name, trial.role, trial.recipe.to_json(), _plain(trial.values)]


def _trial(data: list[Any]) -> Trial:
    name, role, recipe, values = data
    return Trial(name, role, Recipe.from_json(recipe), _values(values))


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    return {key: plain(value) for key, value in values.items()}


def _values(data: Mapping[str, Any]) -> dict[str, Value]:
    return {key: read_value(value, key) for key, value in data.items()}
