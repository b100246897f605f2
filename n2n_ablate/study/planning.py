"""From a study, a profile and the user's settings to a plan. Pure, but for plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from n2n_ablate.components.optional import declared
from n2n_ablate.components.recipe import Catalogue, resolved
from n2n_ablate.components.spec import ComponentSpec, Value
from n2n_ablate.errors import AblateError, StudyError, nearest
from n2n_ablate.study import limits
from n2n_ablate.study.confirm import check_confirm, to_confirm, with_pairs
from n2n_ablate.study.designs import changed, declare, factor_values, repeated, searched
from n2n_ablate.study.model import BASELINE, Condition, Factor, Profile, Scale, Study, Trial
from n2n_ablate.study.plan import Plan
from n2n_ablate.study.read import pairs_label
from n2n_ablate.study.settings import check_settings, setting, sort_settings
from n2n_ablate.study.values import MeasuredPairs

_NUMBERS = ("trials", "seeds", "first_seed", "crop", "white")
_OF_PROFILE = ("trials", "seeds", "images", "crop", "white", "channels")


class PlanOptions(TypedDict, total=False):
    """What a user asks for instead of what the profile says; None, and nothing, leave it as it is."""

    # `kind.parameter=value` or `kind=name`: on a factor one more level, elsewhere another baseline (or,
    # for `noise`, other conditions)
    settings: Sequence[str]
    trials: int | None  # most trials
    seeds: int | None  # number of seeds
    # the first of the seeds; all others, the confirmation's too, follow it as they do in the study
    first_seed: int | None
    images: Sequence[str]  # sources of images
    crop: int | None  # side of the centre crop in pixels, 0 for whole images
    white: float | None  # the sample of the image files that is white
    channels: Sequence[int]  # of image files that are no colours
    confirm_images: Sequence[str]  # sources of the images to confirm on
    confirm_scenes: int | None  # how many scenes of each measured condition are held out
    pairs: Sequence[str]  # sources of measured noise, see `MeasuredPairs`: each is a condition


def plan(
    study: Study, registry: Catalogue, *, profile: str = "", **given: Unpack[PlanOptions]
) -> Plan:
    """Decide everything that can be decided before the first image is read.

    `profile`: name of a profile; the file's first if empty; `given`: see `PlanOptions`.
    """
    asked: dict[str, Any] = dict(given)
    limits.check_numbers(**{name: asked.get(name) for name in _NUMBERS})
    chosen = _profile(study, profile)
    confirm = to_confirm(chosen, asked)
    if (seeds := asked.get("seeds")) is not None:
        asked["seeds"] = range(seeds)
    for name in ("seeds", "images", "channels"):
        asked[name] = tuple(asked.get(name) or ()) or None
    changes: dict[str, Any] = {
        name: asked[name] for name in _OF_PROFILE if asked.get(name) is not None
    }
    chosen = replace(chosen, confirm=confirm, **changes)
    if pairs := asked.get("pairs"):
        study = measured(study, pairs)
    images_given = bool(asked["images"] or asked.get("confirm_images"))
    chosen = _with_images(study, chosen, given=images_given)
    if (first := asked.get("first_seed")) is not None:
        chosen = _from_seed(chosen, first)
    check_confirm(study, chosen)
    if chosen.confirm:
        scenes = chosen.confirm.scenes
        study = replace(study, conditions=with_pairs(study.conditions, held_out=scenes))
    as_written = _plan_from(study, registry, chosen, [], str(study.path))
    settings = asked.get("settings", ())
    if not settings:
        return as_written
    read = [setting(text) for text in settings]
    check_settings(study, read)
    adapted = _plan_from(study, registry, chosen, read, f"--set {' '.join(settings)}")
    return replace(adapted, settings=tuple(settings))


def _from_seed(profile: Profile, first: int) -> Profile:
    """Return a profile whose seeds begin elsewhere: other noise, initial weights and search."""
    moved = first - min(profile.seeds)
    confirm = profile.confirm
    if confirm:
        confirm = replace(confirm, seeds=tuple(seed + moved for seed in confirm.seeds))
    seeds = tuple(seed + moved for seed in profile.seeds)
    return replace(profile, seeds=seeds, confirm=confirm)


def _with_images(study: Study, profile: Profile, *, given: bool) -> Profile:
    """Return a profile whose images suit the conditions: measured noise has images of its own."""
    if all(condition.pairs for condition in study.conditions):
        if given:
            msg = (
                "measured noise brings its own images; leave --images and --confirm-images out "
                "(--confirm-scenes N holds out scenes)"
            )
            raise StudyError(msg)
        confirm = profile.confirm
        confirm = replace(confirm, images=()) if confirm and confirm.scenes else None
        return replace(profile, images=(), confirm=confirm)
    if not profile.images:
        msg = f"{study.path}: 'profiles.{profile.name}.images' is missing"
        raise StudyError(msg)
    return profile


def _plan_from(
    study: Study,
    registry: Catalogue,
    profile: Profile,
    settings: Sequence[tuple[str, Value]],
    source: str,
) -> Plan:
    factors, changes, noise = sort_settings(study, settings)
    try:
        return _plan(study, registry, profile, factors, {**profile.changes, **changes}, noise)
    except AblateError as error:
        msg = f"{source}: {error}"
        raise type(error)(msg) from error


def _profile(study: Study, name: str) -> Profile:
    if not name:
        return next(iter(study.profiles.values()))
    if name not in study.profiles:
        msg = f"study '{study.name}' has no profile '{name}'. {nearest(name, study.profiles)}"
        raise StudyError(msg)
    return study.profiles[name]


def _plan(
    study: Study,
    registry: Catalogue,
    profile: Profile,
    factors: Sequence[Factor],
    changes: Mapping[str, object],
    noise: Mapping[str, Value],
) -> Plan:
    start = study.baseline
    # Whole components before their parameters, or the parameters would be lost.
    for key, value in sorted(changes.items(), key=lambda change: "." in change[0]):
        start = start.replace(key, value)
    recipe = start.resolved(registry)
    baseline = Trial(BASELINE, BASELINE, recipe, factor_values(recipe, factors))
    declared, effects = declare(study, factors, baseline, registry)
    references = tuple(
        Trial(name, "reference", changed(recipe, values, registry))
        for name, values in study.references.items()
    )
    space, whole = searched(study, factors, baseline, registry)
    names = [trial.name for trial in declared]
    _check_names(study, profile, names, factorial=bool(effects))
    metrics = metrics_of(study, registry)
    return Plan(
        study=study,
        profile=profile,
        baseline=baseline,
        declared=declared,
        references=references,
        space=space,
        whole=whole,
        conditions=conditions_of(study, noise, registry),
        contrasts=() if effects else study.contrasts or tuple(names),
        metrics=metrics,
        scales={name: scale_of(registry, spec) for name, spec in metrics.items()},
        effects=effects,
        repeated=repeated(study, factors, recipe, registry),
        strategy=resolved(registry, "strategy", study.strategy) if space else None,
    )


def _check_names(study: Study, profile: Profile, names: Sequence[str], *, factorial: bool) -> None:
    every = [BASELINE, *names, *study.references]
    if twice := {name for name in every if every.count(name) > 1}:
        msg = f"two trials are called '{min(twice)}'. Give their levels different labels."
        raise StudyError(msg)
    if study.design == "search" and not profile.trials:
        msg = f"profile '{profile.name}' needs 'trials': how many a search may run, the declared included"
        raise StudyError(msg)
    for name in () if factorial else study.contrasts:
        if name not in names:
            msg = f"contrast '{name}' is not among the declared trials. {nearest(name, names)}"
            raise StudyError(msg)


def measured(study: Study, sources: Sequence[str]) -> Study:
    """Return the study under measured noise instead of its conditions."""
    labels = [pairs_label(source) for source in sources]
    if len(set(labels)) < len(labels):
        labels = list(sources)
    conditions = (
        Condition(None, label, MeasuredPairs(source))
        for label, source in zip(labels, dict.fromkeys(sources), strict=False)
    )
    return replace(study, conditions=tuple(conditions))


def metrics_of(study: Study, registry: Catalogue) -> dict[str, ComponentSpec]:
    """Return the metrics with every parameter written out; no two may be the same."""
    metrics: dict[str, ComponentSpec] = {}
    for name, spec in study.metrics.items():
        metric = resolved(registry, "metric", spec)
        if same := next((other for other in metrics if metrics[other] == metric), ""):
            msg = f"metrics '{same}' and '{name}' are the same: {metric}"
            raise StudyError(msg)
        metrics[name] = metric
    return metrics


def conditions_of(
    study: Study, noise: Mapping[str, Value], registry: Catalogue
) -> tuple[Condition, ...]:
    """Return the conditions; those that settings make equal become one."""
    conditions: dict[ComponentSpec | MeasuredPairs | None, Condition] = {}
    for each in study.conditions:
        condition = _condition(each, noise, registry)
        same = conditions.setdefault(condition.noise or condition.pairs, condition)
        if same is not condition and not noise:
            msg = (
                f"conditions '{same.label}' and '{condition.label}' are the same noise: "
                f"{condition.source}. Remove one of them"
            )
            raise StudyError(msg)
    return tuple(conditions.values())


def scale_of(registry: Catalogue, spec: ComponentSpec) -> Scale:
    """Return what the numbers of a metric mean."""
    metric = registry.build("metric", spec.name, spec.parameters)
    unit, higher = declared(metric, "unit", ""), declared(metric, "higher_is_better", True)
    return Scale(str(unit), bool(higher), str(declared(metric, "convention", "")))


def _condition(condition: Condition, noise: Mapping[str, Value], registry: Catalogue) -> Condition:
    spec = condition.noise
    if spec is None:
        if noise:
            msg = f"--set noise: the noise of '{condition.label}' is measured and has no parameters"
            raise StudyError(msg)
        return condition
    if "" in noise:
        spec = (
            noise[""]
            if isinstance(noise[""], ComponentSpec)
            else ComponentSpec.read(noise[""], "--set noise")
        )
    for path, value in noise.items():
        spec = spec.replace(path, value) if path else spec
    label = str(spec) if noise else condition.label
    return Condition(resolved(registry, "noise", spec), label)
