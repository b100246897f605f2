"""What a study of a given size can decide, before it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from n2n_ablate import stats
from n2n_ablate.analysis.records import Metric
from n2n_ablate.analysis.study_records import Family, Scope, StudyAnalysis
from n2n_ablate.study import Spread


@dataclass(frozen=True)
class MeasuredSpread:
    """Spreads that a run of the study has shown."""

    # the upper end of the 80 % interval of the standard deviation over images, by name, of the
    # condition where it is largest
    by_contrast: Mapping[str, float]
    scope: Scope  # what the run compared
    profile: str  # of the run


@dataclass(frozen=True)
class ContrastPower:
    """One contrast."""

    name: str  # of the contrast
    spread: float  # expected standard deviation of the differences over images, seeds averaged
    equivalence: float  # power to call a true difference of zero equivalent
    detectable: float  # a true difference that is called better or worse with a power of 0.8


@dataclass(frozen=True)
class Power:
    """What a profile can decide."""

    profile: str  # its name
    held_out: bool  # whether a confirmation decides
    n_images: int  # independent images of the stage that decides
    n_seeds: int  # seeds per image
    family: Family  # verdicts that share the allowed error
    metric: Metric  # that decides
    # declared ones; empty where no spread is known, or there are too few images
    contrasts: tuple[ContrastPower, ...]
    # where the spreads come from; None where they are not known
    spread: Spread | MeasuredSpread | None
    # the largest spread with which a true zero is called equivalent with a power of 0.8
    spread_limit: float | None
    detectable_per_spread: float | None  # what is detected with a power of 0.8, in spreads

    @property
    def equivalence(self) -> float | None:
        """The least power of all contrasts."""
        return min((each.equivalence for each in self.contrasts), default=None)

    @property
    def images_needed(self) -> int | None:
        """Images with which all contrasts would have a power of 0.8, by their largest spread."""
        widest = max((each.spread for each in self.contrasts), default=0.0)
        margin = self.metric.margin
        if not widest or not margin:
            return None
        return stats.images_to_show_equivalence(self.family.size, margin / widest)


def power_of(
    profile: str,
    contrasts: tuple[str, ...],
    family: Family,
    metric: Metric,
    images: int,
    seeds: int,
    spread: Spread | MeasuredSpread | None,
    *,
    held_out: bool,
) -> Power:
    """Return what a stage of a study can decide.

    `contrasts`: names of the contrasts that are known beforehand; `family`: of the stage, which the best of a
    search may enlarge; `spread`: expected; of a contrast that no run has shown the largest known is taken;
    `held_out`: whether the stage is a confirmation.
    """
    power = Power(profile, held_out, images, seeds, family, metric, (), spread, None, None)
    if images < 2:
        return power
    size, margin = family.size, metric.margin or 0.0
    per_spread = stats.detectable_effect(images, stats.Levels(size).critical(images)[0])
    found = []
    for name in contrasts if spread else ():
        if isinstance(spread, MeasuredSpread):
            sd = spread.by_contrast.get(name, max(spread.by_contrast.values()))
        else:
            assert spread is not None
            sd = spread.over_images(seeds)
        chance = stats.equivalence_power(images, size, margin / sd) if sd else 1.0
        found.append(ContrastPower(name, sd, chance, per_spread * sd))
    limit = margin / stats.equivalence_margin(images, size)
    return replace(
        power, contrasts=tuple(found), spread_limit=limit, detectable_per_spread=per_spread
    )


def measured_spread(analysis: StudyAnalysis) -> MeasuredSpread | None:
    """Return what the stage of a study that decides shows of the spread; None with fewer than 4 images."""
    stage = analysis.deciding
    known: dict[str, float] = {}
    for condition in stage.conditions:
        for record in condition.contrasts:
            if record.sd is not None and record.n_clusters >= stats.FEWEST_TO_PLAN:
                sd = stats.spread_limit(record.sd, record.n_clusters)
                known[record.contrast.name] = max(sd, known.get(record.contrast.name, 0.0))
    scope = stage.conditions[0].scope
    return MeasuredSpread(known, scope, analysis.profile) if known else None
