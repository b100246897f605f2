"""What a tracker keeps of a trial: parameters, figures and points of curves by name. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.files import slugs
from n2n_ablate.records import NoisySample, Plan, StudyTrials, Trial, TrialResult
from n2n_ablate.tracking.address import NOTE

_FORMAT = 3  # of what a run holds; one more, and runs are written anew
_EVAL = "eval/"
_LONGEST_NAME, _MOST_SHAPES = 200, 8


@dataclass(frozen=True)
class Value:
    """One value of one curve."""

    name: str  # of the curve
    step: int  # counted from 1; 0 for what belongs to no step
    value: float  # always finite
    progress: float = 1.0  # share of the training that was done, from 0 to 1


@dataclass(frozen=True)
class Dataset:
    """What a run was evaluated on."""

    name: str  # where the images come from
    digest: str  # of the pixels of all images
    source: Mapping[str, str]  # digest by name of the image
    profile: Mapping[str, object]  # number and shapes of the images


def suffixes(plan: Plan) -> dict[str, str]:
    """Return what the names of a condition's metrics end in: nothing if there is only one."""
    labels = [condition.label for condition in plan.conditions]
    return {label: "" if len(labels) == 1 else f".{slug}" for label, slug in slugs(labels).items()}


def order(plan: Plan) -> str:
    """Return how MLflow sorts the runs of a plan, best first: by the metric that decides."""
    decide = plan.study.decide
    direction = "DESC" if plan.scales[decide].higher_is_better else "ASC"
    return f"metrics.`{_EVAL}{decide}{next(iter(suffixes(plan).values()))}` {direction}"


def parameters(plan: Plan, trial: Trial, images: Iterable[str]) -> dict[str, str]:
    """Return everything that was chosen, flat: `sampler`, `sampler.center`, `noise.sigma`, ...

    With several conditions the noise has the label of each: `noise.LABEL.sigma`.
    """
    flat = dict(trial.recipe.flat())
    labels = slugs(condition.label for condition in plan.conditions)
    for condition in plan.conditions:
        name = "noise" if len(labels) == 1 else f"noise.{labels[condition.label]}"
        flat |= condition.noise.flat(name) if condition.noise else {name: condition.source}
    chosen = {key: short(value) for key, value in flat.items()}
    chosen["images"] = ", ".join(images)
    chosen["seeds"] = ", ".join(map(str, plan.profile.seeds))
    chosen["crop"] = str(plan.profile.crop or "whole images")
    return chosen


def short(value: object) -> str:
    """Return a parameter as one reads it: 0.46, and not 0.45999999999999996."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def dataset(sources: Sequence[str], samples: Sequence[NoisySample]) -> Dataset | None:
    """Return the images of a trial as one dataset, None if they are not there: clean ones, or references and shots.

    `sources`: where the images come from, as the study names them; `samples`: the noisy images of the trial's
    fits.
    """
    images = {sample.image.name: sample.image for sample in samples}
    shots = {
        hashlib.sha256(shot.numpy().tobytes()).hexdigest()
        for sample in samples
        for shot in sample.shots
    }
    if not images:
        return None
    shapes = sorted({"x".join(map(str, image.pixels.shape[1:])) for image in images.values()})
    return Dataset(
        name=", ".join(sources)[:_LONGEST_NAME],
        digest=_digest(sorted([*(image.digest for image in images.values()), *shots])),
        source={name: image.digest for name, image in images.items()},
        profile={"images": len(images), "shapes (c x h x w)": shapes[:_MOST_SHAPES]},
    )


def values(plan: Plan, result: TrialResult, baseline: TrialResult | None) -> list[Value]:
    """Return every finite value of a trial: final figures, mean curves, one curve per image.

    The pages of MLflow have a section for what stands before a slash, sorted by name, and names
    without a slash come last. So the metrics themselves are in the section that sorts first.

    Curves per image are of the metric that decides; differences from the baseline of every metric.

    `baseline`: what `psnr_gain` and its like are measured from, paired by image.
    """
    points: list[Value] = []
    details: list[Value] = []
    for label, suffix in suffixes(plan).items():
        for metric in dict.fromkeys([*plan.metrics, "loss"]):
            curves = result.curves(metric, label)
            name = f"{_EVAL if metric in plan.metrics else 'training/'}{metric}"
            points += _points(f"{name}{suffix}", curves.steps, curves.mean)
            if metric in plan.metrics:
                points += _finals(metric, result, baseline, label, suffix)
            if metric == plan.study.decide:
                names = slugs(curves.images)
                for image, curve in curves.images.items():
                    name = f"per-image/{metric}{suffix}.{names[image]}"
                    details += _points(name, curves.steps, curve)
    points += [
        Value("training/seconds", 0, result.seconds),
        Value("training/failures", 0, float(result.failures)),
    ]
    points += details  # MLflow lists them in this order
    return [point for point in points if np.isfinite(point.value)]


def diagnostics(plan: Plan, measured: Mapping[str, Mapping[str, float]]) -> list[Value]:
    """Return what was measured of a trial's sampler, `sampler/leak` and so on, by condition."""
    points = [
        Value(f"sampler/{name}{suffix}", 0, value)
        for label, suffix in suffixes(plan).items()
        for name, value in measured.get(label, {}).items()
    ]
    return [point for point in points if np.isfinite(point.value)]


def fits_key(plan: Plan, result: TrialResult) -> str:
    """Return the identity of a trial with its fits: another device or changed code gives another."""
    fits = _digest(sorted(row.result.key for row in result.rows))
    return f"{plan.trial_key(result.trial)}-{fits}"


def outcome_key(result: TrialResult) -> str:
    """Return a hash of what the fits gave: a repetition that gave something else has another."""
    rows = sorted(result.rows, key=lambda row: row.result.key)
    return _digest(
        json.dumps([_FORMAT, r.result.key, sorted(r.result.figures.items()), r.result.failure])
        for r in rows
    )


def summary_key(result: StudyTrials, status: str) -> str:
    """Return a hash of what a summary tells: of every outcome, and how the command ended."""
    later = result.confirmed.trials if result.confirmed else ()
    return _digest([status, *map(outcome_key, (*result.trials, *later))])


def verdicts(stage: StudyTrials) -> dict[str, tuple[dict[str, str], list[Value]]]:
    """Return what the runs of declared contrasts say, by name of the trial: tags, and values.

    The tags are verdict and reason; the values the interval, p, and the differences by the metrics
    that do not decide. A stage without a header has none.
    """
    said: dict[str, tuple[dict[str, str], list[Value]]] = {}
    known = {each.trial.name for each in stage.trials}
    for condition in analyse(stage).conditions if stage.header else ():
        suffix = suffixes(stage.plan)[condition.condition]
        rows = {row.name: row.secondary for row in condition.trials}
        for contrast in condition.contrasts:
            if (name := contrast.contrast.name) not in known:
                continue
            tags, values = said.setdefault(name, ({}, []))
            tags[f"verdict{suffix}"] = str(contrast.verdict)
            lines = [*filter(None, [tags.get(NOTE)]), _in_words(contrast)]
            tags[NOTE] = "\n\n".join(lines)
            if contrast.reason is not None:
                tags[f"verdict_reason{suffix}"] = str(contrast.reason)
            beside = {"p_holm": contrast.p_holm}
            beside["probability_equivalent"] = contrast.probability_equivalent
            if contrast.interval is not None:
                beside["confidence"] = contrast.interval.level
            values += _named("verdict/", {**_interval(contrast), **beside}, suffix)
            for metric, other in rows.get(name, {}).items():
                values += _named(f"secondary/{metric}_", _interval(other), suffix)
    return said


def _in_words(contrast: ContrastRecord) -> str:
    """Return a contrast in a line, for the page of its run."""
    unit = f" {contrast.metric.unit}" if contrast.metric.unit else ""
    text = f"{contrast.condition}: {contrast.verdict}"
    if contrast.estimate is not None:
        text += f", {contrast.estimate:+.3f}{unit} vs {contrast.contrast.baseline}"
    if (ends := contrast.interval) is not None:
        text += f" ({100 * ends.level:.4g} % CI {ends.low:+.3f} to {ends.high:+.3f})"
    return text


def _interval(contrast: ContrastRecord) -> dict[str, float | None]:
    figures = {"difference": contrast.estimate}
    if contrast.interval is not None:
        figures |= {"low": contrast.interval.low, "high": contrast.interval.high}
    return figures


def _named(start: str, figures: Mapping[str, float | None], suffix: str) -> list[Value]:
    return [
        Value(f"{start}{name}{suffix}", 0, value)
        for name, value in figures.items()
        if value is not None
    ]


def verdict_key(tags: Mapping[str, str], values: Sequence[Value]) -> str:
    """Return a hash of what a run says of its contrast."""
    return _digest([*sorted(tags.values()), *(f"{one.name}={one.value!r}" for one in values)])


def _finals(
    metric: str, result: TrialResult, baseline: TrialResult | None, label: str, suffix: str
) -> Iterator[Value]:
    values = result.by_image(metric, label)
    if len(values) > 1:
        yield Value(f"{_EVAL}{metric}_std{suffix}", 0, float(np.std(list(values.values()), ddof=1)))
    other = baseline.by_image(metric, label) if baseline else {}
    gains = [value - other[image] for image, value in values.items() if image in other]
    if gains:
        yield Value(f"{_EVAL}{metric}_gain{suffix}", 0, float(np.mean(gains)))


def _points(name: str, steps: np.ndarray, curve: np.ndarray) -> Iterator[Value]:
    for step, value in zip(steps, curve, strict=True):
        yield Value(name, int(step), float(value), float(step / steps[-1]))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def best(result: StudyTrials) -> list[str]:
    """Return the names of the trials with the best mean, one per condition, each once."""
    highest = [condition.highest for condition in analyse(result).conditions]
    return list(dict.fromkeys(each.name for each in highest if each is not None))


def pictures(result: TrialResult, samples: Sequence[NoisySample]) -> str:
    """Return how many of the noisy images are there, empty if all are."""
    whole, there = len(result.rows), len(samples)
    return "" if there >= whole else f"{there} of {whole}"
