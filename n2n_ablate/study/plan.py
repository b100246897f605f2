"""From a study, a profile and the user's settings to the trials that will run. Pure, but for plugins."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from n2n_ablate.components.optional import declared as declared_of
from n2n_ablate.components.parameters import Domain
from n2n_ablate.components.recipe import Catalogue, canonical, resolved
from n2n_ablate.components.spec import ComponentSpec, Value
from n2n_ablate.errors import AblateError, StudyError, nearest
from n2n_ablate.study import limits
from n2n_ablate.study.designs import Effect, changed, declare, factor_values, repeated
from n2n_ablate.study.held_out import check_confirm, holding_out, to_confirm
from n2n_ablate.study.model import (
    BASELINE,
    Condition,
    Factor,
    MeasuredPairs,
    Profile,
    Scale,
    Study,
    Trial,
    named,
)
from n2n_ablate.study.ranges import searched
from n2n_ablate.study.read import pairs_label
from n2n_ablate.study.settings import check_settings, setting, sort_settings


@dataclass(frozen=True)
class Plan:
    """A study with everything decided, checked against the components that are installed.

    Attributes:
        study: What was read from the file.
        profile: The budget, with the user's settings in it.
        baseline: The baseline trial.
        declared: Trials that always run: the levels of the factors, as the design combines them.
        references: Trials outside the factors.
        space: What a search may vary, empty for other designs.
        whole: Keys of `space` whose values are whole numbers.
        conditions: Noise models with every parameter written out.
        contrasts: Names of the trials whose difference from the baseline is the question.
        metrics: What is measured, by name.
        scales: Units and directions of the metrics, by name.
        settings: What the user changed on the command line, as typed.
        confirming: True if this is the plan of a confirmation, see `study.confirmation`.
        before: Of a confirmation: names of the contrasts that only an earlier command asked for.
        effects: Of a factorial design, instead of contrasts.
        repeated: Levels that equal the baseline, as `key=level`; they are not run again.
        strategy: What chooses the trials of a search, None for other designs.
    """

    study: Study
    profile: Profile
    baseline: Trial
    declared: tuple[Trial, ...]
    references: tuple[Trial, ...]
    space: Mapping[str, Domain]
    whole: frozenset[str]
    conditions: tuple[Condition, ...]
    contrasts: tuple[str, ...]
    metrics: Mapping[str, ComponentSpec]
    settings: tuple[str, ...] = ()
    confirming: bool = False
    before: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    repeated: tuple[str, ...] = ()
    scales: Mapping[str, Scale] = field(default_factory=dict)
    strategy: ComponentSpec | None = None

    @property
    def fixed(self) -> tuple[Trial, ...]:
        """All trials that are known beforehand, in the order in which they run."""
        first = self.added.values()  # a limit must not drop what the user has just added
        added = [trial for trial in self.declared if trial.name in first]
        others = [trial for trial in self.declared if trial.name not in first]
        asked = [trial for trial in others if trial.name in self.contrasts]
        rest = [trial for trial in others if trial.name not in self.contrasts]
        everything = (self.baseline, *added, *asked, *rest, *self.references)
        return everything[: self.profile.trials] if self.profile.trials else everything

    @property
    def dropped(self) -> int:
        """How many trials are declared, but beyond the limit."""
        return 1 + len(self.declared) + len(self.references) - len(self.fixed)

    @property
    def added(self) -> Mapping[str, str]:
        """Names of the trials that the user's settings declare, by setting; of one level each."""
        names = {trial.name for trial in self.declared}
        level_names = {text: named(dict([setting(text)])) for text in self.settings}
        return {text: name for text, name in level_names.items() if name in names}

    @property
    def heeded(self) -> tuple[str, ...]:
        """The user's settings without those whose trial is beyond the limit."""
        added, run = self.added, {trial.name for trial in self.fixed}
        return tuple(text for text in self.settings if text not in added or added[text] in run)

    @property
    def searched(self) -> int:
        """How many trials the search strategy may choose."""
        return max(0, self.profile.trials - len(self.fixed)) if self.space else 0

    @property
    def best_to_confirm(self) -> int:
        """How many of a search's best trials will be confirmed, at most."""
        confirm = self.profile.confirm
        return confirm.top if confirm and self.space else 0

    @property
    def key(self) -> str:
        """Identity of the search: equal plans go on with each other's trials.

        The number of trials is not part of it, so a larger budget continues a smaller one.
        """
        content = {
            "name": self.study.name,
            "design": self.study.design,
            "baseline": self.baseline.recipe.to_json(),
            "declared": [
                [trial.name, trial.recipe.to_json()] for trial in (*self.declared, *self.references)
            ],
            "space": {key: str(domain) for key, domain in self.space.items()},
            "conditions": [item.plain() for item in self.conditions],
            "decide": self.study.decide,
            "strategy": self.strategy and self.strategy.plain(),
            "images": [
                *(self.profile.images, self.profile.crop, self.profile.seeds),
                *(self.profile.white, self.profile.channels),
            ],
        }
        return hashlib.sha256(canonical(content).encode()).hexdigest()[:10]

    def search_trial(self, values: Mapping[str, Value], registry: Catalogue) -> Trial:
        """Return the trial at a point that the search strategy chose."""
        recipe = self.baseline.recipe
        for key, value in values.items():
            recipe = recipe.replace(key, value)
        return Trial(named(values), "search", recipe.resolved(registry), dict(values))


def plan(
    study: Study,
    registry: Catalogue,
    *,
    profile: str = "",
    settings: Sequence[str] = (),
    trials: int | None = None,
    seeds: int | None = None,
    images: Sequence[str] = (),
    crop: int | None = None,
    white: float | None = None,
    channels: Sequence[int] = (),
    confirm_images: Sequence[str] = (),
    confirm_scenes: int | None = None,
    pairs: Sequence[str] = (),
) -> Plan:
    """Decide everything that can be decided before the first image is read.

    Args:
        study: The study.
        registry: The components.
        profile: Name of a profile; the file's first if empty.
        settings: `kind.parameter=value` or `kind=name`. On a factor it adds a level, elsewhere it
            changes the baseline (or, for `noise`, the conditions).
        trials: Most trials, instead of the profile's.
        seeds: Number of seeds, instead of the profile's.
        images: Sources of images, instead of the profile's.
        crop: Side of the centre crop in pixels, 0 for whole images, instead of the profile's.
        white: The sample of the image files that is white, instead of the profile's.
        channels: Channels of the image files that are no colours, instead of the profile's.
        confirm_images: Sources of the images to confirm on, instead of the profile's.
        confirm_scenes: How many scenes of each measured condition are held out, instead of the profile's.
        pairs: Sources of measured noise, see `MeasuredPairs`: each is a condition, in place of the study's.

    Raises:
        AblateError: Something in the file or the settings makes no sense; see the message.
    """
    chosen = _profile(study, profile)
    if trials is not None and trials < 1:
        msg = f"--trials must be at least 1, got {trials}"
        raise StudyError(msg)
    if crop is not None and crop < 0:
        msg = f"--crop must not be negative, got {crop}"
        raise StudyError(msg)
    if white is not None and not 0 < white < float("inf"):
        msg = f"--white must be above 0, got {white:g}"
        raise StudyError(msg)
    if seeds is not None and not 1 <= seeds <= limits.MOST_SEEDS:
        msg = f"--seeds must be from 1 to {limits.MOST_SEEDS}, got {seeds}"
        raise StudyError(msg)
    chosen = replace(
        chosen,
        trials=chosen.trials if trials is None else trials,
        seeds=chosen.seeds if seeds is None else tuple(range(seeds)),
        images=tuple(images) or chosen.images,
        crop=chosen.crop if crop is None else crop,
        white=chosen.white if white is None else white,
        channels=tuple(channels) or chosen.channels,
        confirm=to_confirm(
            chosen,
            seeds=seeds,
            crop=crop,
            images=bool(images),
            sources=tuple(confirm_images),
            scenes=confirm_scenes,
        ),
    )
    if pairs:
        study = _measured(study, pairs)
    if all(condition.pairs for condition in study.conditions):
        if images or confirm_images:
            msg = (
                "measured noise brings its own images; leave --images and --confirm-images out "
                "(--confirm-scenes N holds out scenes)"
            )
            raise StudyError(msg)
        confirm = chosen.confirm
        confirm = replace(confirm, images=()) if confirm and confirm.scenes else None
        chosen = replace(chosen, images=(), confirm=confirm)
    elif not chosen.images:
        msg = f"{study.path}: 'profiles.{chosen.name}.images' is missing"
        raise StudyError(msg)
    check_confirm(study, chosen)
    study = holding_out(study, chosen.confirm.scenes) if chosen.confirm else study
    as_written = _plan_from(study, registry, chosen, [], str(study.path))
    if not settings:
        return as_written
    read = [setting(text) for text in settings]
    check_settings(study, read)
    changed = _plan_from(study, registry, chosen, read, f"--set {' '.join(settings)}")
    return replace(changed, settings=tuple(settings))


def _measured(study: Study, sources: Sequence[str]) -> Study:
    """Return the study under measured noise instead of its conditions."""
    labels = [pairs_label(source) for source in sources]
    if len(set(labels)) < len(labels):
        labels = list(sources)
    conditions = (
        Condition(None, label, MeasuredPairs(source))
        for label, source in zip(labels, dict.fromkeys(sources), strict=False)
    )
    return replace(study, conditions=tuple(conditions))


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
    baseline = Trial(
        BASELINE,
        BASELINE,
        start.resolved(registry),
        factor_values(start.resolved(registry), factors),
    )
    declared, effects = declare(study, factors, baseline, registry)
    references = tuple(
        Trial(name, "reference", changed(start, values, registry))
        for name, values in study.references.items()
    )
    space, whole = searched(study, factors, baseline, registry)
    names = [trial.name for trial in declared]
    every = [BASELINE, *names, *study.references]
    if twice := {name for name in every if every.count(name) > 1}:
        msg = f"two trials are called '{min(twice)}'. Give their levels different labels."
        raise StudyError(msg)
    if study.design == "search" and not profile.trials:
        msg = f"profile '{profile.name}' needs 'trials': how many a search may run, the declared included"
        raise StudyError(msg)
    for name in () if effects else study.contrasts:
        if name not in names:
            msg = f"contrast '{name}' is not among the declared trials. {nearest(name, names)}"
            raise StudyError(msg)
    metrics = {name: resolved(registry, "metric", spec) for name, spec in study.metrics.items()}
    _check_metrics(metrics)
    return Plan(
        study=study,
        profile=profile,
        baseline=baseline,
        declared=declared,
        references=references,
        space=space,
        whole=whole,
        conditions=_conditions(study, noise, registry),
        contrasts=() if effects else study.contrasts or tuple(names),
        metrics=metrics,
        scales={name: _scale(registry, spec) for name, spec in metrics.items()},
        effects=effects,
        repeated=repeated(study, factors, baseline.recipe, registry),
        strategy=resolved(registry, "strategy", study.strategy) if space else None,
    )


def _check_metrics(metrics: Mapping[str, ComponentSpec]) -> None:
    names = list(metrics)
    for number, name in enumerate(names):
        for other in names[:number]:
            if metrics[name] == metrics[other]:
                msg = f"metrics '{other}' and '{name}' are the same: {metrics[name]}"
                raise StudyError(msg)


def _conditions(
    study: Study, noise: Mapping[str, Value], registry: Catalogue
) -> tuple[Condition, ...]:
    """Return the conditions; those that settings make equal become one."""
    conditions: dict[ComponentSpec | MeasuredPairs | None, Condition] = {}
    for declared in study.conditions:
        condition = _condition(declared, noise, registry)
        same = conditions.setdefault(condition.noise or condition.pairs, condition)
        if same is not condition and not noise:
            msg = (
                f"conditions '{same.label}' and '{condition.label}' are the same noise: "
                f"{condition.source}. Remove one of them"
            )
            raise StudyError(msg)
    return tuple(conditions.values())


def _scale(registry: Catalogue, spec: ComponentSpec) -> Scale:
    metric = registry.build("metric", spec.name, spec.parameters)
    unit, higher = declared_of(metric, "unit", ""), declared_of(metric, "higher_is_better", True)
    return Scale(str(unit), bool(higher))


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
