"""What a tracker keeps of a trial: parameters, figures and points of curves by name. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.curves import image_curves
from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.components.recipe import canonical
from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.diagnostics.concerns import flat
from n2n_ablate.records import NoisySample, StudyResult, TrialResult
from n2n_ablate.report.file_names import slugs
from n2n_ablate.study import Plan, Trial


@dataclass(frozen=True)
class Value:
    """One value of one curve.

    Attributes:
        name: Of the curve.
        step: Counted from 1; 0 for what belongs to no step.
        value: Always finite.
        progress: Share of the training that was done, from 0 to 1.
    """

    name: str
    step: int
    value: float
    progress: float = 1.0


def suffixes(plan: Plan) -> dict[str, str]:
    """Return what the names of a condition's metrics end in: nothing if there is only one."""
    labels = [condition.label for condition in plan.conditions]
    return {label: "" if len(labels) == 1 else f".{slug}" for label, slug in slugs(labels).items()}


def parameters(plan: Plan, trial: Trial, images: Iterable[str]) -> dict[str, str]:
    """Return everything that was chosen, flat: `sampler`, `sampler.center`, `noise`, `seeds`, ..."""
    flat = {key: str(value) for key, value in trial.recipe.flat().items()}
    labels = slugs(condition.label for condition in plan.conditions)
    for condition in plan.conditions:
        name = "noise" if len(labels) == 1 else f"noise.{labels[condition.label]}"
        flat[name] = condition.source
    flat["images"] = ", ".join(images)
    flat["seeds"] = ", ".join(map(str, plan.profile.seeds))
    flat["crop"] = str(plan.profile.crop or "whole images")
    return flat


def values(plan: Plan, result: TrialResult, baseline: TrialResult | None) -> list[Value]:
    """Return every finite value of a trial: final figures, mean curves, one curve per image.

    Curves per image are of the metric that decides; differences from the baseline of every metric.

    Args:
        plan: The study's plan.
        result: The trial.
        baseline: What `psnr_gain` and its like are measured from, paired by image.
    """
    points: list[Value] = []
    details: list[Value] = []
    for label, suffix in suffixes(plan).items():
        for metric in dict.fromkeys([*plan.metrics, "loss"]):
            curves = image_curves(result, metric, label)
            points += _points(f"{metric}{suffix}", curves.steps, curves.mean)
            if metric in plan.metrics:
                points += _finals(metric, result, baseline, label, suffix)
            if metric == plan.study.decide:
                names = slugs(curves.images)
                for image, curve in curves.images.items():
                    details += _points(f"{metric}{suffix}.{names[image]}", curves.steps, curve)
    points += [Value("seconds", 0, result.seconds), Value("failures", 0, float(result.failures))]
    points += details  # MLflow lists them in this order
    return [point for point in points if np.isfinite(point.value)]


def diagnostics(plan: Plan, diagnoses: Mapping[str, Diagnosis]) -> list[Value]:
    """Return what was measured of a trial's sampler, `diagnostic.leak` and so on, by condition."""
    points = [
        Value(f"diagnostic.{name}{suffix}", 0, value)
        for label, suffix in suffixes(plan).items()
        if label in diagnoses
        for name, value in flat(diagnoses[label].total).items()
    ]
    return [point for point in points if np.isfinite(point.value)]


def content_key(plan: Plan, trial: Trial) -> str:
    """Return the identity of a trial in its study."""
    return _digest([plan.key, canonical(trial.recipe.to_json())])


def fits_key(plan: Plan, result: TrialResult) -> str:
    """Return the identity of a trial with its fits: another device or changed code gives another."""
    fits = _digest(sorted(row.result.key for row in result.rows))
    return f"{content_key(plan, result.trial)}-{fits}"


def outcome_key(result: TrialResult) -> str:
    """Return a hash of what the fits gave: a repetition that gave something else has another."""
    rows = sorted(result.rows, key=lambda row: row.result.key)
    return _digest(
        canonical([r.result.key, dict(r.result.figures), r.result.failure]) for r in rows
    )


def summary_key(result: StudyResult, status: str) -> str:
    """Return a hash of what a summary tells: of every outcome, and how the command ended."""
    later = result.confirmed.trials if result.confirmed else ()
    return _digest([status, *map(outcome_key, (*result.trials, *later))])


def verdict(contrast: ContrastRecord, suffix: str) -> tuple[dict[str, str], list[Value]]:
    """Return what a run says of its contrast: tags with the verdict, values with the interval.

    Args:
        contrast: A primary one.
        suffix: Of the condition's metrics, see `suffixes`.
    """
    tags = {f"verdict{suffix}": str(contrast.verdict)}
    if contrast.reason is not None:
        tags[f"verdict_reason{suffix}"] = str(contrast.reason)
    known = {"difference": contrast.estimate, "p_holm": contrast.p_holm}
    known["probability_equivalent"] = contrast.probability_equivalent
    if (interval := contrast.interval) is not None:
        known |= {"difference_low": interval.low, "difference_high": interval.high}
        known["difference_level"] = interval.level
    return tags, [
        Value(f"{name}{suffix}", 0, value) for name, value in known.items() if value is not None
    ]


def _finals(
    metric: str, result: TrialResult, baseline: TrialResult | None, label: str, suffix: str
) -> Iterator[Value]:
    values = result.by_image(metric, label)
    if len(values) > 1:
        yield Value(f"{metric}_std{suffix}", 0, float(np.std(list(values.values()), ddof=1)))
    other = baseline.by_image(metric, label) if baseline else {}
    gains = [value - other[image] for image, value in values.items() if image in other]
    if gains:
        yield Value(f"{metric}_gain{suffix}", 0, float(np.mean(gains)))


def _points(name: str, steps: np.ndarray, curve: np.ndarray) -> Iterator[Value]:
    for step, value in zip(steps, curve, strict=True):
        yield Value(name, int(step), float(value), float(step / steps[-1]))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def best(result: StudyResult) -> list[str]:
    """Return the names of the trials with the best mean, one per condition, each once."""
    highest = [condition.highest for condition in analyse(result).conditions]
    return list(dict.fromkeys(each.name for each in highest if each is not None))


def pictures(result: TrialResult, samples: Sequence[NoisySample]) -> str:
    """Return how many of the noisy images are there, empty if all are."""
    whole, there = len(result.rows), len(samples)
    return "" if there >= whole else f"{there} of {whole}"
