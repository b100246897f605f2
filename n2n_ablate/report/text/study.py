"""What is said of a study as a whole: its scope, its highest mean, its confirmation, its failures."""

from __future__ import annotations

from dataclasses import replace

from n2n_ablate.analysis.records import Kind, Metric, Reason
from n2n_ablate.analysis.study_records import (
    ConditionAnalysis,
    Failure,
    Highest,
    LossGuide,
    Scope,
    SearchOutcome,
    StudyAnalysis,
)
from n2n_ablate.report.numbers import (
    format_interval,
    format_number,
    format_percent,
    format_signed,
    pluralize,
)
from n2n_ablate.report.text.contrasts import (
    contrast_name,
    digits_of,
    interval_text,
    metric_digits,
    unit_of,
)
from n2n_ablate.stats import Buy, VarianceComponents

NEXT_STEPS = "Next steps"
NO_CONTRAST = "No contrast has a result yet."
NO_COMPLETE_TRIAL = "No trial is complete: every one lost a fit."


def metric_title(metric: Metric) -> str:
    """Return a metric as a heading of a column: `PSNR (dB)`."""
    name = metric_name(metric)
    return f"{name} ({metric.unit})" if metric.unit else name


def metric_name(metric: Metric) -> str:
    """Return a metric as sentences have it: `PSNR`."""
    return metric.name.upper() if metric.name in ("psnr", "ssim") else metric.name


def scope_text(scope: Scope, condition: str) -> str:
    """Return what results hold for: samplers rank differently at other sizes and budgets."""
    (low_h, low_w), (high_h, high_w) = scope.smallest, scope.largest
    size = f"{low_w}\u00d7{low_h} pixels"
    if scope.smallest != scope.largest:
        size += f" to {high_w}\u00d7{high_h}"
    images = pluralize(scope.n_images, "image")
    if 0 < scope.n_compared < scope.n_images:
        images = f"{scope.n_compared} of {images}"
    if scope.n_clusters < scope.n_images:
        images += f" ({pluralize(scope.n_clusters, 'scene')})"
    seeds = pluralize(scope.n_seeds, "seed")
    return f"{images} of {size}, {pluralize(scope.steps, 'step')}, {seeds}, {condition}"


def answer_title(analysis: StudyAnalysis, condition: ConditionAnalysis) -> str:
    """Return the line above the contrasts: what they hold for, and whether they are confirmed."""
    where = scope_text(condition.scope, condition.condition)
    if analysis.confirmation is not None:
        return f"Confirmed on held-out images ({where}):"
    status = "" if _is_factorial(analysis) else "not confirmed on held-out images; "
    return f"Result ({status}{where}):"


def _is_factorial(analysis: StudyAnalysis) -> bool:
    return any(
        record.contrast.kind is not Kind.TRIAL
        for condition in analysis.conditions
        for record in condition.contrasts
    )


def baseline_reason_text(reason: Reason) -> str:
    """Return why nothing can be compared with the baseline."""
    if reason is Reason.NOT_RUN:
        return "The baseline has not run yet, so nothing can be compared with it."
    return "The baseline failed on every image, so nothing can be compared with it."


def highest_text(analysis: StudyAnalysis, condition: ConditionAnalysis) -> str:
    """Return which trial has the best mean, and what that is worth."""
    highest = condition.highest
    if highest is None:
        return NO_COMPLETE_TRIAL
    metric = analysis.metric
    extreme = "Highest" if metric.higher_is_better else "Lowest"
    name = highest.name if highest.role == "baseline" else _trial_name(highest)
    over = " in the main study" if analysis.confirmation else ""
    if highest.n_images < highest.n_images_most:
        over += f" over the {pluralize(highest.n_images, 'image')} that all trials share"
    text = f"{extreme} mean {metric_name(metric)}{over}: {name}, {_value(highest.mean, metric)}"
    if highest.role == "baseline":
        return f"{text}; no trial has a better mean than the baseline."
    record = highest.contrast
    if record is None or record.estimate is None:
        return f"{text}."
    estimate = record.estimate
    if analysis.confirmation:  # which alone gives verdicts
        record = replace(record, verdict=None)
    digits = digits_of(record)
    change = f"{format_signed(estimate, digits)}{unit_of(metric)} vs the baseline"
    interval = interval_text(record.interval, digits)
    text += f" ({', '.join(filter(None, (change, interval)))})"
    if highest.role == "search":
        text += "; selected by the search for its result, so this overestimates its gain"
    return f"{text}."


def _trial_name(highest: Highest) -> str:
    record = highest.contrast
    return contrast_name(record.contrast).partition(" vs ")[0] if record else highest.name


def _value(value: float, metric: Metric) -> str:
    return f"{format_number(value, metric_digits(metric, [value]))}{unit_of(metric)}"


def search_text(analysis: StudyAnalysis) -> str:
    """Return what became of a search's best in the confirmation; empty where the table shows it."""
    outcome = analysis.confirmation.search if analysis.confirmation else None
    if outcome is SearchOutcome.NONE_ABOVE_BASELINE:
        return (
            "No trial that the search added has a better mean than the baseline, so only the declared "
            "contrasts were confirmed."
        )
    if outcome is SearchOutcome.NO_COMPLETE_TRIAL:
        return (
            "Every trial of the search lost a fit, so only the declared contrasts were confirmed."
        )
    return ""


def unconfirmed_text(analysis: StudyAnalysis) -> str:
    """Return how a study gets a confirmation, for a terminal; empty if it has one or plans one."""
    if analysis.confirmation or analysis.confirmation_planned or _is_factorial(analysis):
        return ""
    return (
        "Not confirmed on held-out images. Use --confirm-images (--confirm-scenes with measured pairs), "
        "or [confirm] in the study file."
    )


def failures_text(analysis: StudyAnalysis) -> str:
    """Return how many fits failed and the first reason; empty if none did."""
    lost = [failure for stage in analysis.stages for failure in stage.failures]
    if not lost:
        return ""
    total, first = sum(stage.fits.total for stage in analysis.stages), lost[0]
    return (
        f"{len(lost)} of {pluralize(total, 'fit')} failed; their images are excluded from the trial's "
        f"results. First: {first.trial} on {first.image}, seed {first.seed}: {first.message}"
    )


def failed_fits_text(count: int) -> str:
    """Return what happens to fits without a result."""
    return f"{pluralize(count, 'fit')} failed. Their images are excluded from the trial's results."


def failure_line(failure: Failure) -> str:
    """Return which fit has no result, and why."""
    return f"{failure.trial}, {failure.condition}, {failure.image}, seed {failure.seed}: {failure.message}"


def cached_text(analysis: StudyAnalysis) -> str:
    """Return how many fits were cached; empty if none were."""
    cached = sum(stage.fits.cached for stage in analysis.stages)
    total = sum(stage.fits.total for stage in analysis.stages)
    return f"{cached:,} of {pluralize(total, 'fit')} were cached." if cached else ""


def variance_text(record: VarianceComponents) -> str:
    """Return what would narrow the intervals; empty where the study cannot say it."""
    if record.seed_share is None:
        return ""
    interval = record.seed_share_interval
    known = (
        f" (95 % CI {format_percent(interval.low)} to {format_percent(interval.high)})"
        if interval
        else ""
    )
    text = (
        f"Seeds make up {record.seed_share:.0%}{known} of the variance of the mean difference."
    ).replace("%)", " %)")
    advice = {
        Buy.IMAGES: "More images narrow the intervals most",
        Buy.SEEDS_TOO: "More seeds help too, where images are scarce",
        Buy.UNKNOWN: "These data do not show whether more seeds would help",
    }[record.code]
    gains = []
    if record.narrowing_images is not None:
        gains.append(f"twice the images would narrow them by {record.narrowing_images:.0%}")
    if record.narrowing_seeds is not None:
        gains.append(f"twice the seeds by {record.narrowing_seeds:.0%}")
    return f"{text} {advice}{': ' if gains else ''}{', '.join(gains)}."


def loss_text(guide: LossGuide) -> str:
    """Return how well the training loss would have ranked the trials; empty where it is not computable."""
    if guide.tau is None or guide.n_trials < 3:
        return ""
    interval = guide.tau_interval
    sign = int(interval.low > 0) - int(interval.high < 0) if interval else 0
    if interval is None and guide.n_images > 1:  # the same on every image
        sign = int(guide.tau > 0) - int(guide.tau < 0)
    opening = {
        1: "The trial with the lower training loss tends to have the higher PSNR",
        -1: "The trial with the lower training loss tends to have the lower PSNR",
        0: "The training loss does not reliably rank the trials by PSNR",
    }[sign]
    ends = " on every image"
    if interval:
        ends = f", 95 % CI {format_interval(interval.low, interval.high)}"
    text = (
        f"{opening} (Kendall's tau of low loss and high PSNR {format_signed(guide.tau)}{ends}; {guide.n_trials} trials, "
        f"{pluralize(guide.n_images, 'image')})."
    )
    if guide.cost is not None:
        cost = guide.cost_interval
        ends = f" (95 % CI {format_number(cost.low)} to {format_number(cost.high)})" if cost else ""
        text += (
            " Choosing the trial with the lowest loss for each image would have cost "
            f"{format_number(guide.cost)} dB on average{ends}."
        )
    if guide.n_samplers > 1:
        text += " The trials use different samplers, so their losses are not on a common scale."
    return text
