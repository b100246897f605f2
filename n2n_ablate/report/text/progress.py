"""Lines of a running study: progress, how it was stopped, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from n2n_ablate.analysis.records import ContrastRecord, Metric
from n2n_ablate.report.numbers import format_number, format_signed, pluralize
from n2n_ablate.report.text.contrasts import contrast_line, metric_digits, unit_of


def started(trials: int, fits: int, where: str) -> str:
    """Return what will run. `fits` are those of a trial."""
    return f"{pluralize(trials, 'trial')} \u00d7 {pluralize(fits, 'fit')} on {where}"


def confirmation_started(trials: int, fits: int) -> str:
    """Return what will run for the confirmation."""
    return f"Confirmation on held-out images: {pluralize(trials, 'trial')} \u00d7 {pluralize(fits, 'fit')}"


def trial_finished(
    name: str,
    metric: Metric,
    means: Sequence[float],
    gains: Sequence[float],
    *,
    fits: int,
    failed: int,
    cached: int,
    seconds: float,
) -> str:
    """Return a finished trial in one line."""
    parts = [name]
    for mean, gain in zip(means, gains, strict=True):
        digits = metric_digits(metric, [mean])
        value = format_number(mean, digits)
        text = f"{value}{unit_of(metric)}" if value else "no result"
        if difference := format_signed(gain, digits):
            text += f" ({difference})"
        parts.append(text)
    if failed:
        parts.append(f"{failed} of {pluralize(fits, 'fit')} failed")
    if cached == fits:
        parts.append("cached")
    else:
        parts.append(f"{seconds / max(1, fits):.1f} s/fit")
        if cached:
            parts.append(f"{cached} cached")
    return "  ".join(parts)


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
