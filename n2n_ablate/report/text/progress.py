"""Lines of a running study: progress, how it was stopped, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterable

from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.analysis.rows import metrics_of
from n2n_ablate.records import StudyTrials, TrialResult
from n2n_ablate.report.numbers import format_number, format_signed, pluralize
from n2n_ablate.report.text.contrasts import contrast_line, metric_digits, unit_of


def started(trials: int, fits: int, where: str) -> str:
    """Return what will run. `fits` are those of a trial."""
    return f"{pluralize(trials, 'trial')} \u00d7 {pluralize(fits, 'fit')} on {where}"


def confirmation_started(trials: int, fits: int) -> str:
    """Return what will run for the confirmation."""
    return f"Confirmation on held-out images: {pluralize(trials, 'trial')} \u00d7 {pluralize(fits, 'fit')}"


def trial_finished(result: TrialResult, so_far: StudyTrials) -> str:
    """Return a finished trial in one line."""
    parts, metric = [result.trial.name], metrics_of(so_far.plan)[0]
    for condition in so_far.plan.conditions:
        mean = result.mean(metric.name, condition.label)
        digits = metric_digits(metric, [mean])
        value = format_number(mean, digits)
        text = f"{value}{unit_of(metric)}" if value else "no result"
        gain = _gain(result, so_far.baseline, metric.name, condition.label)
        parts.append(
            f"{text} ({difference})" if (difference := format_signed(gain, digits)) else text
        )
    fits, cached = len(result.rows), result.cached
    if result.failures:
        parts.append(f"{result.failures} of {pluralize(fits, 'fit')} failed")
    if cached == fits:
        return "  ".join([*parts, "cached"])
    parts.append(f"{result.seconds / max(1, fits):.1f} s/fit")
    return "  ".join([*parts, f"{cached} cached"] if cached else parts)


def _gain(
    result: TrialResult, baseline: TrialResult | None, metric: str, condition: str
) -> float | None:
    """Return the mean difference from the baseline on the images that both have; None without any."""
    if baseline is None or baseline.trial.name == result.trial.name:
        return None
    first, second = (each.by_image(metric, condition) for each in (result, baseline))
    shared = [first[image] - second[image] for image in first if image in second]
    return math.fsum(shared) / len(shared) if shared else None


def interim_analysis(
    images: int, records: Iterable[ContrastRecord], *, conditions: int
) -> list[str]:
    """Return the contrasts at an interim analysis, one per line."""
    lines = [
        f"  {contrast_line(record)}{f', under {record.condition}' if conditions > 1 else ''}"
        for record in records
    ]
    title = f"Interim analysis after {pluralize(images, 'image')}:"
    return [title, *lines] if lines else [f"{title} no contrast has a result yet"]


def interrupted(trials: int, fits: int, command: str) -> str:
    """Return what is kept of a study that was stopped, and the command that resumes it."""
    return (
        f"Stopped. {pluralize(trials, 'trial')} finished, {pluralize(fits, 'fit')} saved. To resume, run:\n"
        f"  {command}"
    )
