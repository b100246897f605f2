"""Says which recipe to use and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from n2n_ablate.analysis.records import ContrastRecord, Metric
from n2n_ablate.analysis.study_records import Best, StudyAnalysis, Support
from n2n_ablate.report.numbers import format_number, pluralize
from n2n_ablate.report.text.contrasts import contrast_line, finding, metric_digits
from n2n_ablate.report.text.study import metric_name


def best_title(best: Best, metric: Metric, *, confirmed: bool) -> str:
    """Return the name of the trial with its mean."""
    if best.mean is None:
        return best.name
    images = pluralize(best.n_images, "held-out image" if confirmed else "image")
    mean = format_number(best.mean, metric_digits(metric, [best.mean]))
    return (
        f"{best.name}: mean {metric_name(metric)} {mean} {metric.unit}".rstrip() + f" over {images}"
    )


def best_reasons(analysis: StudyAnalysis) -> Iterator[str]:
    """Yield why this recipe, and what else might have been chosen, a sentence each."""
    best = analysis.best
    yield _SUPPORT[best.support]
    yield from _by_condition(best.contrasts)
    for rival in best.rivals:
        ahead = "; ".join(
            f"{finding(record)} under {condition}" for condition, record in rival.ahead.items()
        )
        yield f"{rival.name} is better than the baseline too. {best.name} vs {rival.name}: {ahead}."
    if best.baseline_failed_fits:
        yield f"The baseline failed in {best.baseline_failed_fits} of {pluralize(best.baseline_fits, 'fit')}."
    if best.highest and best.highest != best.name:
        yield from _passed_over(best)


def _passed_over(best: Best) -> Iterator[str]:
    yield f"{best.highest} has the highest mean, which alone is no evidence that it is better:"
    yield from _by_condition(best.highest_contrasts)


def _by_condition(records: Mapping[str, ContrastRecord]) -> Iterator[str]:
    several = len(records) > 1
    for condition, record in records.items():
        yield f"{contrast_line(record)}{f', under {condition}' if several else ''}."


_SUPPORT = {
    Support.CONFIRMED: "Better than the baseline on held-out images.",
    Support.DECLARED: (
        "Better than the baseline in a contrast declared before the study ran; not confirmed on "
        "held-out images."
    ),
    Support.NOTHING_BETTER: "No contrast is better than the baseline, so the baseline is kept.",
    Support.BASELINE_FAILED: "The baseline has no result to compare with, so it is kept by default.",
    Support.NO_RESULT: "No trial is complete, so the baseline is kept by default.",
}


def override_line(best: Best, study: str) -> str:
    """Return how to use the trial with the highest mean all the same; empty if it was chosen."""
    if not best.highest or best.highest == best.name:
        return ""
    return f"To use {best.highest} anyway: denoise --from-study {study} --trial '{best.highest}'"
