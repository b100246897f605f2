"""One contrast under one condition by one metric: from values per image to its record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis.records import (
    Caveat,
    Contrast,
    ContrastRecord,
    ImageDifference,
    Interim,
    Interval,
    LeaveOneOut,
    Metric,
    Planning,
    Reason,
    Role,
    Verdict,
    Wins,
)
from n2n_ablate.records.results import mean_of

Side = Mapping[str, np.ndarray]
"""One side of a contrast: values by image, an array over seeds, of images that lost no fit."""

_VERDICTS = {
    stats.BETTER: Verdict.BETTER,
    stats.WORSE: Verdict.WORSE,
    stats.EQUIVALENT: Verdict.EQUIVALENT,
    stats.INCONCLUSIVE: Verdict.INCONCLUSIVE,
}
_LAST_ANALYSIS = 1.14
"""At most so many times as wide as without a race is the interval at its last analysis."""


@dataclass(frozen=True)
class Rule:
    """How the verdicts of a stage are decided.

    Attributes:
        metric: That decides.
        size: Of the family.
        order: Names of all images, in the order of the fits.
        clusters: Name of the scene by image; an image that is not in it is a scene by itself.
        interim_sizes: Images at each interim analysis; empty without a race.
        decides: False for a demonstration, which has no verdicts.
    """

    metric: Metric
    size: int
    order: tuple[str, ...]
    clusters: Mapping[str, str] = field(default_factory=dict)
    interim_sizes: tuple[int, ...] = ()
    decides: bool = True

    def units(self, images: Sequence[str]) -> int:
        """Return how many independent units images make."""
        return len({self.clusters.get(image, image) for image in images})

    @property
    def raced(self) -> bool:
        """Whether there is more than one analysis."""
        return len(self.interim_sizes) > 1


@dataclass(frozen=True, eq=False)
class Paired:
    """Both sides of a contrast on the images that were given to both.

    Attributes:
        given: Names of the images.
        trial, baseline: As far as they have all fits.
        units: Clusters of images, with the mean difference of each, where both have results.
    """

    given: tuple[str, ...]
    trial: Side
    baseline: Side
    units: Mapping[str, float]

    @classmethod
    def of(
        cls, trial: Side, baseline: Side, given: Sequence[str], clusters: Mapping[str, str]
    ) -> Paired:
        """Pair both sides; crops, shots and overlaps of one scene are averaged."""
        scenes: dict[str, list[float]] = {}
        for image in given:
            if image in trial and image in baseline:
                difference = mean_of(trial[image]) - mean_of(baseline[image])
                scenes.setdefault(clusters.get(image, image), []).append(difference)
        units = {scene: math.fsum(values) / len(values) for scene, values in scenes.items()}
        return cls(tuple(given), trial, baseline, units)

    @property
    def shared(self) -> list[str]:
        """Images that both have."""
        return [image for image in self.given if image in self.trial and image in self.baseline]

    @property
    def lost(self) -> tuple[int, int]:
        """Images that the trial and the baseline lost."""
        return tuple(sum(image not in side for image in self.given) for side in self._sides)  # type: ignore[return-value]

    @property
    def _sides(self) -> tuple[Side, Side]:
        return self.trial, self.baseline

    @property
    def values(self) -> np.ndarray:
        """Differences, one per unit."""
        return np.fromiter(self.units.values(), dtype=float, count=len(self.units))

    @property
    def identical(self) -> bool:
        """Whether both have the same value on every image with every seed."""
        return all(np.array_equal(self.trial[image], self.baseline[image]) for image in self.shared)

    def reason(self) -> Reason | None:
        """Return why a verdict is withheld; None if nothing speaks against one."""
        lost_trial, lost_baseline = self.lost
        if not self.given:
            return Reason.NOT_RUN
        if lost_baseline == len(self.given):
            return Reason.BASELINE_FAILED
        if lost_trial == len(self.given):
            return Reason.TRIAL_FAILED
        if not self.units:
            return Reason.NO_COMMON_IMAGE
        if lost_trial and lost_baseline:
            return Reason.BOTH_LOST_IMAGES
        if lost_trial or lost_baseline:
            return Reason.TRIAL_LOST_IMAGES if lost_trial else Reason.BASELINE_LOST_IMAGES
        if self.identical:
            return None
        if len(self.units) < 2:
            return Reason.ONE_IMAGE
        return None if stats.has_spread(self.values) else Reason.NO_SPREAD


def effect_sides(
    plus: Sequence[Side], minus: Sequence[Side], *, order: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return both sides of an effect of a factorial, means over its cells.

    A main effect is the mean over the cells with the changed level less that over those that differ in
    nothing else. An interaction is what both changes give beyond the sum of what each gives alone: the
    cells with both or neither less those with one, times two.

    An image that is missing in one cell is missing in that side, of an interaction in both, since
    none of them is the one that lost it.

    Args:
        plus: Values of each cell.
        minus: The same; as many.
        order: Factors that change: 1 or 2.
    """
    one, two = (_mean_side(cells, order) for cells in (plus, minus))
    if order == 1:
        return one, two
    both = [image for image in one if image in two]
    return {image: one[image] for image in both}, {image: two[image] for image in both}


def _mean_side(cells: Sequence[Side], scale: int) -> dict[str, np.ndarray]:
    images = [image for image in cells[0] if all(image in cell for cell in cells)] if cells else []
    return {image: scale * np.mean([cell[image] for cell in cells], axis=0) for image in images}


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

    Args:
        contrast: What is compared.
        condition: Label of the noise.
        trial: Its values.
        baseline: The values of what it is compared with.
        given: Images that were given to both, in the order of the fits.
        rule: Of the stage.
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
    reason = paired.reason() or Reason.NO_ANALYSIS_YET
    return _bare(contrast, condition, paired, rule, Role.PRIMARY, Verdict.WITHHELD, reason)


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

    Args:
        contrast: What is compared.
        condition: Label of the noise.
        trial: Its values.
        baseline: The values of what it is compared with.
        given: Images that were given to both.
        rule: With the metric that is meant.
        role: Secondary or exploratory.
        caveats: What is known beforehand.
    """
    paired = Paired.of(trial, baseline, given, rule.clusters)
    record = _bare(contrast, condition, paired, rule, role, None, None, caveats)
    values = paired.values
    if len(values) < 2 or not stats.has_spread(values):
        return record
    critical = stats.t_critical(stats.LEVEL, len(values))
    sd = float(values.std(ddof=1))
    return replace(
        record,
        difference_interval=_interval(_ends(values, critical), stats.LEVEL, len(values)),
        sd=sd,
        effect_size=float(values.mean()) / sd,
        wins=_wins(values, rule.metric),
    )


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
    sign = 1 if rule.metric.higher_is_better else -1
    margin = rule.metric.margin or 0.0
    verdict = Verdict.WITHHELD
    if reason is None:
        code = int(stats.decide(sign * values, critical, margin))
        verdict = Verdict.IDENTICAL if paired.identical else _VERDICTS[code]
    if interim is not None:
        # Lost images stay lost, so that more of them cannot bring a verdict back.
        interim = replace(interim, decided=verdict is not Verdict.INCONCLUSIVE)
    record = _bare(contrast, condition, paired, rule, Role.PRIMARY, verdict, reason)
    record = replace(record, interim=interim, family_size=rule.size)
    if stats.has_spread(values):
        record = _with_intervals(record, paired, critical, rule)
        if reason is None:
            record = _with_planning(record, values, critical, rule, sign)
    return replace(record, caveats=_caveats(record, rule))


def _bare(
    contrast: Contrast,
    condition: str,
    paired: Paired,
    rule: Rule,
    role: Role,
    verdict: Verdict | None,
    reason: Reason | None,
    caveats: Sequence[Caveat] = (),
) -> ContrastRecord:
    """Return a record with what needs no spread."""
    values, shared = paired.values, paired.shared
    lost_trial, lost_baseline = paired.lost
    more = [Caveat.IMAGES_LOST] if lost_trial or lost_baseline else []
    more += [Caveat.CLUSTERED] if len(values) < len(shared) else []
    return ContrastRecord(
        contrast=contrast,
        condition=condition,
        metric=rule.metric,
        role=role,
        verdict=verdict,
        reason=reason,
        estimate=float(values.mean()) if len(values) else None,
        difference_interval=None,
        equivalence_interval=None,
        n_images=len(shared),
        n_clusters=len(values),
        n_seeds=len(paired.trial[shared[0]]) if shared else 0,
        lost_by_trial=lost_trial,
        lost_by_baseline=lost_baseline,
        images=tuple(_image(image, paired, rule.clusters) for image in paired.given),
        caveats=(*caveats, *more),
    )


def _image(image: str, paired: Paired, clusters: Mapping[str, str]) -> ImageDifference:
    one, two = (
        mean_of(side[image]) if image in side else None for side in (paired.trial, paired.baseline)
    )
    difference = one - two if one is not None and two is not None else None
    return ImageDifference(image, clusters.get(image, image), one, two, difference)


def _with_intervals(
    record: ContrastRecord, paired: Paired, critical: tuple[float, float], rule: Rule
) -> ContrastRecord:
    """Add both intervals and what stands beside a verdict."""
    values, levels = paired.values, stats.Levels(rule.size)
    n, sd = len(values), float(values.std(ddof=1))
    flips = stats.sign_flip(values)
    raced = rule.raced
    seeds = np.array([paired.trial[i] - paired.baseline[i] for i in paired.shared])
    within = stats.within_images_interval(seeds)
    return replace(
        record,
        difference_interval=_interval(_ends(values, critical[0]), levels.difference, n, raced),
        equivalence_interval=_interval(_ends(values, critical[1]), levels.equivalence, n, raced)
        if (rule.metric.margin or 0.0) > 0
        else None,
        sd=sd,
        effect_size=float(values.mean()) / sd,
        p=stats.t_test(values),
        p_sign_flip=flips.p,
        p_sign_flip_smallest=flips.smallest,
        probability_equivalent=stats.probability_within(values, rule.metric.margin or 0.0),
        wins=_wins(values, rule.metric),
        fixed_images_interval=Interval(*within[1:], stats.LEVEL, "t") if within else None,
    )


def _with_planning(
    record: ContrastRecord,
    values: np.ndarray,
    critical: tuple[float, float],
    rule: Rule,
    sign: int,
) -> ContrastRecord:
    """Add the leave-one-out range, and what a study of this size detects."""
    n, margin = len(values), rule.metric.margin or 0.0
    images = list(dict.fromkeys(image.cluster for image in record.images))
    left = None
    if n > 2 and record.verdict is not None:
        left = leave_one_out(values * sign, images, record.verdict, critical, rule)
        if sign < 0:
            low, high = -left.high, -left.low
            left = replace(left, low=low, high=high, estimate_without=-left.estimate_without)
    planning = None
    if n >= stats.FEWEST_TO_PLAN:
        sd, needed = float(values.std(ddof=1)), None
        if record.verdict is Verdict.INCONCLUSIVE:
            wider = critical[0] / stats.Levels(rule.size).critical(n)[0]
            wide = sd * min(_LAST_ANALYSIS, max(1.0, wider))
            mean = float(values.mean())
            needed = stats.images_to_resolve(mean, wide, n, rule.size, margin)
        seen = stats.detectable_effect(n, critical[0]) * stats.spread_limit(sd, n)
        planning = Planning(seen, needed)
    return replace(record, leave_one_out=left, planning=planning)


def leave_one_out(
    values: np.ndarray,
    names: Sequence[str],
    verdict: Verdict,
    critical: tuple[float, float],
    rule: Rule,
) -> LeaveOneOut:
    """Return how far a verdict rests on a single unit.

    Args:
        values: Differences of which higher is better, shape (n,), three or more.
        names: Of the units.
        verdict: On all of them.
        critical: In a race the half-widths of its analysis, kept; else those of n - 1 images are taken.
        rule: Of the stage.
    """
    rest = stats.left_out(values)
    means = rest.mean(axis=1)
    if not rule.raced:
        critical = stats.Levels(rule.size).critical(len(values) - 1)
    codes = stats.decide(rest, critical, rule.metric.margin or 0.0)
    if verdict is Verdict.EQUIVALENT:
        index = int(np.abs(means).argmax())
    else:
        index = int(means.argmin() if values.mean() >= 0 else means.argmax())
    return LeaveOneOut(
        low=float(means.min()),
        high=float(means.max()),
        image=names[index],
        estimate_without=float(means[index]),
        verdict_without=_VERDICTS[int(codes[index])],
        verdict_holds=all(_VERDICTS[int(code)] is verdict for code in codes),
    )


def _wins(values: np.ndarray, metric: Metric) -> Wins:
    better = values > 0 if metric.higher_is_better else values < 0
    wins, n = int(better.sum()), len(values)
    ties = int((values == 0).sum())
    decided = n - ties
    if not decided:
        return Wins(0, 0, ties, n, None, None)
    low, high = stats.wilson_interval(wins, decided)
    interval = Interval(low, high, stats.LEVEL, "wilson")
    return Wins(wins, decided - wins, ties, n, wins / decided, interval)


def _ends(values: np.ndarray, critical: float) -> tuple[float, float]:
    low, high = stats.limits(values, critical)
    return float(low), float(high)


def _interval(
    ends: tuple[float, float], level: float, n: int, raced: bool = False
) -> Interval | None:
    if not all(map(math.isfinite, ends)):
        return None
    method = "t_hall" if n >= stats.HALL_FROM else "t"
    return Interval(*ends, level, f"repeated_{method}" if raced else method)


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
