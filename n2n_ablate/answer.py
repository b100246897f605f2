"""Puts results into words and plain data: the answer with its scope, and JSON for scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from n2n_ablate.bench import Bench
from n2n_ablate.results import Line, StudyResult
from n2n_ablate.stats import Difference
from n2n_ablate.study import BASELINE, Plan

_OWN = (BASELINE, "declared", "search")
_FEW = 3  # contrasts that a sentence can carry with their numbers; the table has them all
_MINUS = "\u2212"


def signed(value: float, digits: int = 2) -> str:
    """Return `+0.12` or, with a real minus sign, the negative; never a negative zero."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "+" if float(text) == 0 else _MINUS)


def shown(difference: Difference | None) -> str:
    """Return `-0.50 +- 0.22` in print, without the interval if there is only one image."""
    if difference is None:
        return ""
    if not math.isfinite(difference.half_width):
        return f"{signed(difference.mean)} (n=1)"
    return f"{signed(difference.mean)} \u00b1 {difference.half_width:.2f}"


def best(result: StudyResult, condition: str) -> Line | None:
    """Return the line with the highest mean PSNR among the study's own trials without a failure."""
    own = [line for line in result.lines(condition) if line.role in _OWN]
    return next((line for line in own if not line.failures), None)


def scope(plan: Plan, bench: Bench, condition: str) -> str:
    """Return what an answer holds for: samplers rank differently at other sizes and budgets."""
    sizes = {tuple(image.pixels.shape[-2:]) for image in bench.images}
    heights, widths = zip(*sizes, strict=True)
    exact = f"{heights[0]}x{widths[0]} pixels"
    size = exact if len(sizes) == 1 else f"{min(heights)}x{min(widths)} pixels and larger"
    steps = bench.steps(plan.baseline.recipe)
    seeds = len(plan.profile.seeds)
    each = f"{seeds} seeds" if seeds > 1 else "1 seed"
    count = len(bench.images)
    images = f"{count} images" if count > 1 else "1 image"
    return f"{images} of {size}, {steps} steps, {each}, {condition}"


def sentence(result: StudyResult, bench: Bench, condition: str) -> str:
    """Return one plain sentence that answers the study's question under a condition."""
    plan = result.plan
    lines = {line.name: line for line in result.lines(condition)}
    asked = [lines[name] for name in plan.contrasts if name in lines]
    asked = [line for line in asked if line.difference]
    where = scope(plan, bench, condition)
    if not asked:
        return f"No contrast has a result yet ({where})."
    base = baseline_name(plan)
    if len(asked) <= _FEW:
        told = _list([f"{_short(line.name, plan)} is {_verdict(line)}" for line in asked])
    else:
        told = _grouped(asked, plan)
    return f"Against the baseline ({base}), {told}; {where}."


def best_sentence(result: StudyResult, condition: str) -> str:
    """Return which trial came out highest, and what that is worth."""
    line = best(result, condition)
    if line is None:
        return "No trial has all its results: every one lost a fit."
    text = f"Highest mean PSNR: {line.name} with {line.figures['psnr']:.2f} dB"
    if line.difference is None:
        return f"{text}; no trial beat the baseline's mean."
    told = f"{text}, {shown(line.difference)} dB against the baseline"
    if line.role == "search":
        told += " (the best of a search, so optimistic)"
    return f"{told}."


def failures(result: StudyResult) -> str:
    """Return how many fits failed and why, empty if none did."""
    lost = [row for item in result.trials for row in item.rows if row.result.failure]
    if not lost:
        return ""
    first = lost[0]
    total = sum(len(item.rows) for item in result.trials)
    return (
        f"{len(lost)} of {total} fits failed; their images are left out of the trial's figures. "
        f"First: {first.image}, seed {first.seed}: {first.result.failure}"
    )


def baseline_name(plan: Plan) -> str:
    """Return the baseline by its place among the factors, e.g. `sampler.center=0.01`."""
    values = plan.baseline.values
    return ", ".join(f"{key}={value}" for key, value in values.items()) or BASELINE


def to_json(result: StudyResult, bench: Bench) -> dict[str, Any]:
    """Return everything a script could want to know, as plain data."""
    plan = result.plan
    return {
        "study": plan.study.name,
        "question": plan.study.question,
        "profile": plan.profile.name,
        "key": plan.key,
        "images": [image.name for image in bench.images],
        "seeds": list(plan.profile.seeds),
        "settings": list(plan.settings),
        "margin": plan.study.margin,
        "conditions": [
            {
                "condition": condition.label,
                "noise": condition.noise.plain(),
                "answer": sentence(result, bench, condition.label),
                "best": (found := best(result, condition.label)) and found.name,
                "scope": scope(plan, bench, condition.label),
                "trials": [_line_json(line) for line in result.lines(condition.label)],
            }
            for condition in plan.conditions
        ],
        "recipes": {item.trial.name: item.trial.recipe.flat() for item in result.trials},
        "fits": sum(len(item.rows) for item in result.trials),
        "reused": sum(item.reused for item in result.trials),
        "failures": sum(item.failures for item in result.trials),
    }


def _line_json(line: Line) -> dict[str, Any]:
    gap = line.difference
    finite = gap is not None and math.isfinite(gap.half_width)
    return {
        "name": line.name,
        "role": line.role,
        "values": dict(line.values),
        **{name: _number(value) for name, value in line.figures.items()},
        "difference": gap and gap.mean,
        "interval": [gap.low, gap.high] if gap and finite else None,
        "level": gap and gap.level,
        "images": gap and gap.n,
        "verdict": line.verdict or None,
        "failures": line.failures,
        "seconds_per_fit": round(line.seconds, 3),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _verdict(line: Line) -> str:
    word = {"equivalent": "equivalent", "better": "better", "worse": "worse"}
    return f"{word.get(line.verdict, 'not distinguishable from it')} ({shown(line.difference)} dB)"


def _grouped(asked: Sequence[Line], plan: Plan) -> str:
    groups = []
    for verdict in ("better", "equivalent", "worse", "not distinguishable"):
        names = [_short(line.name, plan) for line in asked if line.verdict == verdict]
        verb = "is" if len(names) == 1 else "are"
        if names:
            groups.append(f"{_list(names)} {verb} {verdict}")
    return "; ".join(groups)


def _short(name: str, plan: Plan) -> str:
    keys = {factor.key for factor in plan.study.factors}
    key, equals, value = name.partition("=")
    return value if equals and len(keys) == 1 and key in keys else name


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
