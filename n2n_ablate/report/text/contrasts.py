"""Names contrasts in full and says what a study says of one, in one line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from n2n_ablate.analysis.records import (
    Caveat,
    Contrast,
    ContrastRecord,
    Kind,
    LeaveOneOut,
    Metric,
    Reason,
    Verdict,
)
from n2n_ablate.report.numbers import (
    digits_for,
    digits_of_scale,
    format_interval,
    format_number,
    format_percent,
    format_signed,
    join_words,
    pluralize,
    round_up,
)
from n2n_ablate.stats import Interval

INTERACTION_WORDS = {
    Verdict.BETTER: "above the sum",
    Verdict.WORSE: "below the sum",
    Verdict.EQUIVALENT: "additive",
}
"""What a verdict on an interaction says: its difference is that from the sum of two gains."""

PLENTY = 1000  # images: a larger number says no more


def value_text(value: Any) -> str:
    """Return the value of a parameter as study files write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def short_key(key: str) -> str:
    """Return what people call a parameter: `center` for `sampler.center`."""
    return key.rpartition(".")[2]


def contrast_name(contrast: Contrast) -> str:
    """Return a contrast in full: `center = 0.2 vs 0.01`."""
    if contrast.kind in (Kind.MAIN_EFFECT, Kind.INTERACTION):
        parts = [part.replace("=", " = ", 1) for part in contrast.name.split(" x ")]
        return " \u00d7 ".join(parts)
    changed = _changed(contrast.parameters, contrast.baseline_parameters)
    if len(changed) != 1:
        return f"{contrast.name} vs {contrast.baseline}"
    ((key, (own, other)),) = changed.items()
    value = level_text(contrast.name, key, own)
    return f"{short_key(key)} = {value} vs {level_text(contrast.baseline, key, other)}"


def level_text(name: str, key: str, value: str) -> str:
    """Return the level of a factor in full.

    `name`: of the trial; where it names the level it does so with every parameter of a component.
    """
    return name.removeprefix(f"{key}=") if name.startswith(f"{key}=") else value


def _changed(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the parameters that differ, each with both values as text."""
    pairs = {key: (value_text(own[key]), value_text(other[key])) for key in own if key in other}
    return {key: both for key, both in pairs.items() if both[0] != both[1]}


def metric_digits(metric: Metric, values: Iterable[float | None] = ()) -> int:
    """Return how many digits of a metric are printed: two of decibels, three of others, more of small ones.

    `values`: those to print; of the largest at least three digits are shown.
    """
    largest = 0.0
    for value in values:
        if value and math.isfinite(value):
            largest = max(largest, abs(value))
        if largest >= 1:  # then the usual digits are enough, however large others are
            break
    scales = [scale for scale in (metric.margin, largest / 100) if scale]
    return max([2 if metric.unit == "dB" else 3, *map(digits_of_scale, scales)])


def digits_of(record: ContrastRecord) -> int:
    """Return how many digits show the interval, and keep it from contradicting the verdict."""
    interval, margin = record.interval, record.margin or 0.0
    values = (value for each in record.images for value in (each.trial, each.baseline))
    fewest = metric_digits(record.metric, values)
    if interval is None:
        return fewest
    limits = {
        Verdict.BETTER: (0.0,),
        Verdict.WORSE: (0.0,),
        Verdict.EQUIVALENT: (-margin, margin),
        Verdict.INCONCLUSIVE: (-margin, 0.0, margin),
    }
    known = limits.get(record.verdict, ()) if record.verdict else ()
    return digits_for((interval.low, interval.high), known, fewest)


def unit_of(metric: Metric) -> str:
    """Return the unit of a metric with a space before it; empty for none."""
    return f" {metric.unit}" if metric.unit else ""


def interval_text(interval: Interval | None, digits: int = 2) -> str:
    """Return `97.5 % CI -0.69 to -0.31`; an empty text without an interval."""
    if interval is None:
        return ""
    return f"{format_percent(interval.level)} CI {format_interval(interval.low, interval.high, digits)}"


def verdict_word(record: ContrastRecord) -> str:
    """Return the verdict in a word or three, as tables have it; an empty text without one."""
    if record.verdict is None:
        return ""
    if record.contrast.kind is Kind.INTERACTION:
        return INTERACTION_WORDS.get(record.verdict, record.verdict.value)
    return record.verdict.value


def contrast_line(record: ContrastRecord) -> str:
    """Return a contrast with its verdict, estimate and interval in one line."""
    return f"{contrast_name(record.contrast)}: {finding(record)}"


def finding(record: ContrastRecord) -> str:
    """Return what is said of a contrast, without its name."""
    if record.estimate is None:
        return f"no result: {reason_text(record)}"
    digits, unit = digits_of(record), unit_of(record.metric)
    interval = interval_text(record.interval, digits)
    signed = ", ".join(filter(None, (f"{format_signed(record.estimate, digits)}{unit}", interval)))
    match record.verdict:
        case Verdict.BETTER | Verdict.WORSE:
            size = f"{format_number(abs(record.estimate), digits)}{unit}"
            return f"{verdict_word(record)} by {size} ({interval})"
        case Verdict.EQUIVALENT:
            margin = f"\u00b1{record.margin or 0:g}{unit}"
            return f"{verdict_word(record)} within {margin} ({signed})"
        case Verdict.INCONCLUSIVE:
            return f"inconclusive ({signed})"
        case Verdict.IDENTICAL:
            return f"identical on {_every(record.n_images)}"
        case Verdict.WITHHELD:
            return f"verdict withheld: {reason_text(record)} ({signed})"
    return signed


def _every(images: int) -> str:
    return "the only image" if images == 1 else f"all {images} images"


def reason_text(record: ContrastRecord) -> str:
    """Return why a verdict is withheld, or why there is no result."""
    lost, base_lost = record.lost_by_trial, record.lost_by_baseline
    texts = {
        Reason.NOT_RUN: "not run yet",
        Reason.BASELINE_FAILED: "the baseline failed on every image",
        Reason.TRIAL_FAILED: "the trial failed on every image",
        Reason.NO_COMMON_IMAGE: "no image has results of both",
        Reason.NO_ANALYSIS_YET: "the first interim analysis has not been reached",
        Reason.BASELINE_LOST_IMAGES: f"the baseline failed on {pluralize(base_lost, 'image')}",
        Reason.TRIAL_LOST_IMAGES: f"the trial failed on {pluralize(lost, 'image')}",
        Reason.BOTH_LOST_IMAGES: (
            f"the trial failed on {pluralize(lost, 'image')}, the baseline on {base_lost}"
        ),
        Reason.DEMONSTRATION: "a demonstration is too small for a verdict",
        Reason.ONE_IMAGE: "one image gives no confidence interval",
        Reason.NO_SPREAD: (
            f"the difference is the same on {_every(record.n_images)}, which gives no confidence interval"
        ),
    }
    return texts[record.reason] if record.reason else ""


def planning_lines(records: Sequence[ContrastRecord]) -> list[str]:
    """Return what it would take to resolve the inconclusive contrasts; empty if there are none.

    One contrast is named with its own figures; of several the range is given, the table has each.
    """
    open_ = [
        record
        for record in records
        if record.verdict is Verdict.INCONCLUSIVE and record.planning is not None
    ]
    if not open_:
        return []
    plans = [record.planning for record in open_ if record.planning]
    sizes = sorted(plan.detectable_difference for plan in plans)
    counts = sorted(plan.images_needed for plan in plans if plan.images_needed)
    unit = unit_of(open_[0].metric)
    digits = max(map(digits_of, open_))
    size = _range(*(format_number(size, digits) for size in (sizes[0], sizes[-1])))
    lines = [f"A true difference of {size}{unit} would be detected in about 4 of 5 such studies."]
    if counts:
        which = "an inconclusive contrast" if len(open_) > 1 else contrast_name(open_[0].contrast)
        needed = _range(_images(counts[0]), _images(counts[-1]))
        about = "" if counts[0] > PLENTY else "about "
        lines.append(
            f"To resolve {which}, run a new study on {about}{needed} new images; adding images to this "
            "one until it becomes significant inflates false positives."
        )
    return lines


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _images(count: int) -> str:
    return f"more than {PLENTY}" if count > PLENTY else str(round_up(count))


def images_needed_text(record: ContrastRecord) -> str:
    """Return the images of a new study that would resolve a contrast, as a table has them."""
    plan = record.planning
    return _images(plan.images_needed) if plan and plan.images_needed else ""


def caveat_lines(records: Sequence[ContrastRecord]) -> list[str]:
    """Return what a reader has to know beside the verdicts, each caveat once, with whom it concerns."""
    lines = []
    for caveat, text in _CAVEATS.items():
        having = [record for record in records if caveat in record.caveats]
        if having:
            names = join_words(contrast_name(record.contrast) for record in having)
            lines.append(text if len(having) == len(records) else f"{names}: {text}")
    lines += [
        f"{contrast_name(record.contrast)}: {_rests(record, record.leave_one_out)}"
        for record in records
        if record.leave_one_out and Caveat.RESTS_ON_ONE_IMAGE in record.caveats
    ]
    return lines


_CAVEATS = {
    Caveat.STOPPED_EARLY: (
        "Decided at an interim analysis: the interval is valid, the estimate tends to be too extreme."
    ),
    Caveat.CLUSTERED: (
        "Crops, shots or overlaps of one scene count as one image: intervals are over scenes."
    ),
}
"""Only what no column and no other sentence says already."""


def _rests(record: ContrastRecord, without: LeaveOneOut) -> str:
    if without.verdict_without is record.verdict:
        return "the verdict is not robust to leaving out a single image."
    return f"the verdict rests on one image; without {without.image} it is {without.verdict_without.value}."
