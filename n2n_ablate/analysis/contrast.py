"""One contrast under one condition by one metric: from values per image to its record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis.paired import Paired, Rule, Side
from n2n_ablate.analysis.records import (
    Caveat,
    Contrast,
    ContrastRecord,
    Interim,
    LeaveOneOut,
    Planning,
    Reason,
    Role,
    Verdict,
    Wins,
)

_VERDICTS = {
    stats.BETTER: Verdict.BETTER,
    stats.WORSE: Verdict.WORSE,
    stats.EQUIVALENT: Verdict.EQUIVALENT,
    stats.INCONCLUSIVE: Verdict.INCONCLUSIVE,
}
_LAST_ANALYSIS = 1.14
"""At most so many times as wide as without a race is the interval at its last analysis."""


def primary(
    contrast: Contrast,
    condition: str,
    trial: Side,
    baseline: Side,
    given: Sequence[str],
    rule: Rule,
) -> ContrastRecord:
    """Return a declared contrast with its verdict.

    In a race the first interim analysis that decides it counts, however many images it has by now.

    `baseline`: the values of what it is compared with; `given`: images that were given to both, in the order
    of the fits.
    """
    if not rule.raced:
        paired = Paired.of(trial, baseline, given, rule.clusters)
        critical = stats.Levels(rule.size).critical(max(1, len(paired.units)))
        return _decided(contrast, condition, paired, critical, rule)
    sizes = rule.interim_sizes
    design = stats.InterimDesign(
        tuple(rule.units(rule.order[:size]) for size in sizes), size=rule.size
    )
    record = None
    for number, (size, critical) in enumerate(zip(sizes, design.critical, strict=True), 1):
        if size > len(given):
            break
        paired = Paired.of(trial, baseline, given[:size], rule.clusters)
        interim = Interim(number, sizes, decided=False)
        record = _decided(contrast, condition, paired, critical, rule, interim)
        if record.interim is not None and record.interim.decided:
            return record
    if record is not None:
        return record
    paired = Paired.of(trial, baseline, given, rule.clusters)
    return _record(
        contrast,
        condition,
        paired,
        rule,
        Role.PRIMARY,
        verdict=Verdict.WITHHELD,
        reason=paired.reason() or Reason.NO_ANALYSIS_YET,
    )


def plain(
    contrast: Contrast,
    condition: str,
    trial: Side,
    baseline: Side,
    given: Sequence[str],
    rule: Rule,
    *,
    role: Role,
    caveats: Sequence[Caveat] = (),
) -> ContrastRecord:
    """Return a difference without a verdict: with a plain 95 % interval of its own.

    Arguments as in `primary`; the metric that is meant is that of the rule.
    """
    paired = Paired.of(trial, baseline, given, rule.clusters)
    values, more = paired.values, {}
    if stats.has_spread(values):
        ends = stats.limits(values, stats.t_critical(stats.LEVEL, len(values)))
        more = _size(values, rule)
        more["difference_interval"] = _interval(*ends, stats.LEVEL, len(values))
    return _record(contrast, condition, paired, rule, role, caveats, **more)


def _decided(
    contrast: Contrast,
    condition: str,
    paired: Paired,
    critical: tuple[float, float],
    rule: Rule,
    interim: Interim | None = None,
) -> ContrastRecord:
    """Return a contrast with its verdict at one analysis."""
    reason, values = paired.reason(), paired.values
    if reason is None and not rule.decides:
        reason = Reason.DEMONSTRATION
    verdict, more = Verdict.WITHHELD, dict[str, Any]()
    if reason is None:
        code = int(stats.decide(rule.sign * values, critical, rule.margin))
        verdict = Verdict.IDENTICAL if paired.identical else _VERDICTS[code]
    if interim is not None:
        # Lost images stay lost, so that more of them cannot bring a verdict back.
        interim = replace(interim, decided=verdict is not Verdict.INCONCLUSIVE)
    if stats.has_spread(values):
        more = _size(values, rule) | _supporting(paired, critical, rule)
        if reason is None:
            more["leave_one_out"] = _leave_one_out(paired, verdict, critical, rule)
            more["planning"] = _planning(values, verdict, critical, rule)
    record = _record(
        contrast,
        condition,
        paired,
        rule,
        Role.PRIMARY,
        verdict=verdict,
        reason=reason,
        interim=interim,
        family_size=rule.size,
        **more,
    )
    return replace(record, caveats=_caveats(record, rule))


def _record(
    contrast: Contrast,
    condition: str,
    paired: Paired,
    rule: Rule,
    role: Role,
    caveats: Sequence[Caveat] = (),
    **more: Any,
) -> ContrastRecord:
    """Return a record with what needs neither a spread nor a verdict, and with further fields."""
    values, (images, seeds) = paired.values, (*paired.seeds.shape, 0)[:2]
    lost_trial, lost_baseline = paired.lost
    known = [*caveats]
    if lost_trial or lost_baseline:
        known.append(Caveat.IMAGES_LOST)
    if len(values) < images:
        known.append(Caveat.CLUSTERED)
    return ContrastRecord(
        contrast=contrast,
        condition=condition,
        metric=rule.metric,
        role=role,
        estimate=float(values.mean()) if len(values) else None,
        n_images=images,
        n_clusters=len(values),
        n_seeds=seeds,
        lost_by_trial=lost_trial,
        lost_by_baseline=lost_baseline,
        images=paired.images,
        caveats=tuple(known),
        **more,
    )


def _size(values: np.ndarray, rule: Rule) -> dict[str, Any]:
    """Return how large a difference with some spread is."""
    sd, mean = float(values.std(ddof=1)), float(values.mean())
    return {"sd": sd, "effect_size": mean / sd, "wins": _wins(values, rule.sign)}


def _supporting(paired: Paired, critical: tuple[float, float], rule: Rule) -> dict[str, Any]:
    """Return both intervals and what stands beside a verdict."""
    values, levels, n = paired.values, stats.Levels(rule.size), len(paired.values)
    flips = stats.sign_flip(values)
    (low, inner_low), (high, inner_high) = stats.limits(values, np.array(critical))
    inner = _interval(inner_low, inner_high, levels.equivalence, n, rule.raced)
    return {
        "difference_interval": _interval(low, high, levels.difference, n, rule.raced),
        "equivalence_interval": inner if rule.margin > 0 else None,
        "p": stats.t_test(values),
        "p_sign_flip": flips.p,
        "p_sign_flip_smallest": flips.smallest,
        "probability_equivalent": stats.probability_within(values, rule.margin),
        "fixed_images_interval": stats.within_images_interval(paired.seeds),
    }


def _leave_one_out(
    paired: Paired, verdict: Verdict, critical: tuple[float, float], rule: Rule
) -> LeaveOneOut | None:
    """Return how far a verdict rests on a single unit; None with fewer than three.

    A race keeps the half-widths of its analysis; else those of one image less are taken.
    """
    values, names = paired.values, list(paired.units)
    if len(values) < 3:
        return None
    rest = stats.left_out(values)
    means = rest.mean(axis=1)
    if not rule.raced:
        critical = stats.Levels(rule.size).critical(len(values) - 1)
    codes = [_VERDICTS[int(c)] for c in stats.decide(rule.sign * rest, critical, rule.margin)]
    if verdict is Verdict.EQUIVALENT:
        index = int(np.abs(means).argmax())
    else:
        index = int(means.argmin() if values.mean() >= 0 else means.argmax())
    return LeaveOneOut(
        low=float(means.min()),
        high=float(means.max()),
        image=names[index],
        estimate_without=float(means[index]),
        verdict_without=codes[index],
        verdict_holds=all(code is verdict for code in codes),
    )


def _planning(
    values: np.ndarray, verdict: Verdict, critical: tuple[float, float], rule: Rule
) -> Planning | None:
    """Return what a study of this size detects; None where the spread is known from too few units."""
    n = len(values)
    if n < stats.FEWEST_TO_PLAN:
        return None
    sd, needed = float(values.std(ddof=1)), None
    if verdict is Verdict.INCONCLUSIVE:
        wider = critical[0] / stats.Levels(rule.size).critical(n)[0]
        wide = sd * min(_LAST_ANALYSIS, max(1.0, wider))
        needed = stats.images_to_resolve(float(values.mean()), wide, n, rule.size, rule.margin)
    seen = stats.detectable_effect(n, critical[0]) * stats.spread_limit(sd, n)
    return Planning(seen, needed)


def _wins(values: np.ndarray, sign: int) -> Wins:
    wins, n, ties = int((sign * values > 0).sum()), len(values), int((values == 0).sum())
    decided = n - ties
    if not decided:
        return Wins(0, 0, ties, n, None, None)
    interval = stats.wilson_interval(wins, decided)
    return Wins(wins, decided - wins, ties, n, wins / decided, interval)


def _interval(
    low: np.ndarray, high: np.ndarray, level: float, n: int, raced: bool = False
) -> stats.Interval | None:
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    method = "t_hall" if n >= stats.HALL_FROM else "t"
    return stats.Interval(float(low), float(high), level, f"repeated_{method}" if raced else method)


def _caveats(record: ContrastRecord, rule: Rule) -> tuple[Caveat, ...]:
    interim, left = record.interim, record.leave_one_out
    known = {
        Caveat.RACED: rule.raced,
        Caveat.STOPPED_EARLY: interim is not None and interim.decided and not interim.last,
        Caveat.ONE_SEED: record.n_seeds == 1,
        Caveat.RESTS_ON_ONE_IMAGE: left is not None
        and not left.verdict_holds
        and record.verdict in (Verdict.BETTER, Verdict.WORSE, Verdict.EQUIVALENT),
        Caveat.FEW_IMAGES: 0 < record.n_clusters < stats.FEWEST_TO_PLAN,
    }
    return (*record.caveats, *(caveat for caveat, holds in known.items() if holds))
