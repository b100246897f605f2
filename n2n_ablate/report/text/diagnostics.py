"""What diagnostics of samplers say: warnings, their meaning, and how PSNR goes with leak and gap."""

from __future__ import annotations

import math
from collections.abc import Mapping

from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.diagnostics.measured_noise import NoiseFigures
from n2n_ablate.diagnostics.model import (
    LEAK,
    Concern,
    clear_leak,
    concerns,
    wrong_gain,
)
from n2n_ablate.diagnostics.relation import Relation
from n2n_ablate.report.numbers import format_interval, format_number, format_signed, pluralize

MEANING = {
    Concern.LEAK: (
        "Noise2Noise requires views with independent noise (leak 0). The best prediction of a view from "
        "one that leaks keeps that share of its noise, so training is pulled towards keeping noise; a "
        "negative leak pulls it towards removing too much."
    ),
    Concern.BIAS: (
        "Noise2Noise requires views of equal mean (bias 0): a difference in the mean is learned as if it "
        "were part of the scene."
    ),
}
"""What a warning implies."""


_UNDECLARED = (
    "No leak is declared: noise that is clipped, correlated across pixels or of varying strength can "
    "cause it, or the sampler does share noise between views."
)


def concern_text(concern: Concern, diagnosis: Diagnosis) -> str:
    """Return a warning or remark about a sampler in full, without the sampler's name."""
    total = diagnosis.total
    if concern is Concern.LEAK:
        return _leak(diagnosis) + ("" if diagnosis.declared else f" {_UNDECLARED}")
    if concern is Concern.DECLARED_LEAK_NOT_SEEN:
        return f"declares a leak, but {_unseen(diagnosis)}."
    if concern is Concern.BIAS:
        brighter = "brighter" if total.bias.value > 0 else "darker"
        return (
            f"its first view is {abs(total.bias.value):.0f} grey levels {brighter} than its second, and "
            "training reproduces that change."
        )
    if concern is Concern.GAIN:
        return (
            f"a view has {wrong_gain(total):.2f} times the brightness of the image, so the network is "
            "trained on other grey levels than it is applied to."
        )
    return {
        Concern.NO_NOISE: "there is no noise here, so leak and view noise are undefined.",
        Concern.NOT_FINITE: "a view contains values that are not finite, so nothing can be measured.",
    }[concern]


def warning_lines(diagnoses: Mapping[str, Diagnosis]) -> list[str]:
    """Return a line per warning or remark, and what each kind of warning implies."""
    by_text: dict[str, list[str]] = {}
    kinds, undeclared = set(), []
    for name, diagnosis in diagnoses.items():
        for concern in concerns(diagnosis):
            leak = concern is Concern.LEAK
            text = _leak(diagnosis) if leak else concern_text(concern, diagnosis)
            by_text.setdefault(text, []).append(name)
            kinds.add(concern)
            undeclared += [name] if leak and not diagnosis.declared else []
    lines = [f"{', '.join(names)}: {text}" for text, names in by_text.items()]
    lines += [f"{', '.join(undeclared)}: {_UNDECLARED}"] if undeclared else []
    return lines + [text for concern, text in MEANING.items() if concern in kinds]


def noise_notes(scenes: Mapping[str, NoiseFigures]) -> list[str]:
    """Return how to read the table of measured noise."""
    single = any(each.shots == 1 for each in scenes.values())
    what = (
        "Noise is shot minus reference, so a shift or a gain between them counts as noise."
        if single
        else "Noise is what the shots of a scene differ by."
    )
    return [
        f"{what} sd: its standard deviation in grey levels (0 to 255).",
        (
            "down, across: correlation of the noise with the pixel below and beside, 0 for white noise; "
            "colours: between channels. Pair samplers whose views lie that close together leak as much."
        ),
        "bright/dark: sd in the brightest quarter of the scene over that in the darkest.",
    ]


def table_notes(diagnoses: Mapping[str, Diagnosis], *, gains: bool) -> list[str]:
    """Return how to read the table of diagnostics."""
    totals = [diagnosis.total for diagnosis in diagnoses.values()]
    errors = [way.error for total in totals for way in (total.leak, total.back)]
    error = max((error for error in errors if math.isfinite(error)), default=0.0)
    sigma = max((total.sigma for total in totals), default=0.0)
    draws = max((diagnosis.draws for diagnosis in diagnoses.values()), default=0)
    notes = [
        (
            "D1, D2: the maps from an image to its two views; x: clean image, e: noise, y = x + e. leak: share of "
            "the first view's noise that is in the second, cov(D1 e, D2 e) / var(D1 e); back: share of the "
            "second view's noise that is in the first. Both should be 0. Standard errors are "
            f"{error:.3f} or less, from {pluralize(draws, 'noisy image')} of each clean one."
        ),
        (
            "bias: mean of D1 y \u2212 D2 y in grey levels (0 to 255). view noise: sd(D e) / sd(e) of each view; "
            f"sd(e) was measured as {sigma:.1f}. gap: RMS of D1 x \u2212 D2 x in grey levels, how far the clean views differ."
        ),
    ]
    if gains:
        notes.append("gain: brightness of a view relative to the image; should be 1.")
    return notes


def relation_text(relation: Relation) -> str:
    """Return how PSNR goes with leak or gap; empty where the trials do not show it."""
    rank, among = relation.rank, f" among {relation.among}" if relation.among else ""
    if rank.images == 0:
        return ""
    if rank.same:
        return (
            f"On each of the {rank.images} images the rank correlation of PSNR with {relation.what}{among} is "
            f"{format_signed(rank.value)} ({relation.trials} trials)."
        )
    interval = format_interval(rank.low, rank.high)
    figures = (
        f"mean rank correlation {format_signed(rank.value)}"
        f"{f', 95 % CI {interval}' if interval else ''}; {relation.trials} trials, {pluralize(rank.images, 'image')}"
    )
    if rank.sign == 0:
        return f"PSNR shows no clear relation with {relation.what}{among} ({figures})."
    way = "higher" if rank.sign > 0 else "lower"
    return (
        f"On the same image, trials with more {relation.what}{among} tend to have {way} PSNR ({figures}). "
        "The trials differ in other ways too, so this need not be the cause."
    )


def _leak(diagnosis: Diagnosis) -> str:
    worst = clear_leak(diagnosis.total, both_ways=diagnosis.both_ways)
    share = f"keeps {worst:.2f} of" if worst > 0 else f"inverts {-worst:.2f} of"
    return f"leak {_ways(diagnosis)}: the best prediction of one view from the other {share} its noise."


def _unseen(diagnosis: Diagnosis) -> str:
    """Return why a declared leak is no warning: it is small, or its error is too large to know."""
    total = diagnosis.total
    ways = (total.leak, total.back) if diagnosis.both_ways else (total.leak,)
    if all(abs(way.value) < LEAK for way in ways):
        return f"none of {LEAK} or more was measured ({_ways(diagnosis, 3)})"
    error = max(way.error for way in ways)
    known = (
        f"standard error {format_number(error, 3)}"
        if math.isfinite(error)
        else "standard error unknown"
    )
    return f"it does not differ significantly from 0 ({_ways(diagnosis, 3)}; {known})"


def _ways(diagnosis: Diagnosis, digits: int = 2) -> str:
    total = diagnosis.total
    forward, back = format_signed(total.leak.value, digits), format_signed(total.back.value, digits)
    if not diagnosis.both_ways:
        return forward
    return f"{forward} both ways" if forward == back else f"{forward}, back {back}"
