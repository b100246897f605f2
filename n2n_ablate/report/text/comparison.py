"""What is said of two trials beyond their contrast: its standing, other metrics, curves."""

from __future__ import annotations

from n2n_ablate.analysis.records import Caveat, Contrast, ContrastRecord, Metric, Role
from n2n_ablate.report.numbers import format_interval, format_number, format_signed
from n2n_ablate.report.text.contrasts import contrast_name, finding, metric_digits
from n2n_ablate.report.text.study import metric_name
from n2n_ablate.stats import Crossing, Peak

CONFIRMED = "On held-out images"


def sides(contrast: Contrast) -> tuple[str, str]:
    """Return what to call the two trials of a contrast."""
    first, _, second = contrast_name(contrast).partition(" vs ")
    return first, second or contrast.baseline


def role_text(record: ContrastRecord) -> str:
    """Return whether a contrast was declared, and what follows from it."""
    if record.role is Role.PRIMARY:
        return "Declared by the study before it ran."
    if Caveat.SELECTED_BY_SEARCH in record.caveats:
        return (
            "No verdict: the search selected this trial for its result on these images, which overestimates "
            "its difference. Only a confirmation on held-out images gives a verdict."
        )
    return (
        "No verdict: the study did not declare this contrast. A pair picked after the results are known also "
        "differs by chance, which this interval does not account for."
    )


def secondary_line(record: ContrastRecord) -> str:
    """Return the contrast by another metric."""
    return f"{record.metric.name.upper()}: {finding(record)}"


def peak_text(name: str, peak: Peak | None, metric: Metric) -> str:
    """Return what stopping at the peak would have gained; empty without curves."""
    if peak is None:
        return ""
    what, unit = metric_name(metric), f" {metric.unit}" if metric.unit else ""
    digits = metric_digits(metric)
    extreme, peaks, beyond = (
        ("highest", "peaks", "above")
        if metric.higher_is_better
        else ("lowest", "is lowest", "below")
    )
    if peak.oracle_gain == 0:
        return f"{name}: {what} is {extreme} at the last step on every image."
    if peak.gain is None:
        return (
            f"{name}: {what} {peaks} at step {peak.step}, {format_number(peak.oracle_gain, digits)}{unit} {beyond} its "
            "final value "
            "(one image, so the peak could not be chosen on others)."
        )
    interval = peak.interval
    ends = f" (95 % CI {format_interval(interval.low, interval.high, digits)})" if interval else ""
    return (
        f"{name}: mean {what} {peaks} at step {peak.step}; gain from stopping each image where the others peak: "
        f"{format_signed(peak.gain, digits)}{unit}{ends}."
    )


def crossing_text(crossing: Crossing | None) -> str:
    """Return whether the curves cross; empty where they have no points in common."""
    if crossing is None:
        return ""
    if crossing.step is None:
        return "The curves do not cross."
    doubt = "" if crossing.certain else ", but the crossing is uncertain"
    return f"The curves cross at step {crossing.step:.0f} (95 % CI {crossing.low} to {crossing.high}){doubt}."
