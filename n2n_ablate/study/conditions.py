"""What trials are compared under, and by which metrics: checked against the components. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from n2n_ablate.components.optional import declared
from n2n_ablate.components.recipe import Catalogue, resolved
from n2n_ablate.components.spec import ComponentSpec, Value
from n2n_ablate.errors import StudyError
from n2n_ablate.study.model import Condition, Scale, Study
from n2n_ablate.study.read import pairs_label
from n2n_ablate.study.values import MeasuredPairs


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
