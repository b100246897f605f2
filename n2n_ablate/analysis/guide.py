"""How well the training loss, which needs no clean image, would have chosen among a study's trials."""

from __future__ import annotations

import math
from dataclasses import replace

from n2n_ablate import stats
from n2n_ablate.analysis.diagnoses import finals
from n2n_ablate.analysis.records import Interval, LossGuide
from n2n_ablate.diagnostics.relation import LossAlone, loss_alone
from n2n_ablate.records import StudyResult
from n2n_ablate.records.results import OWN


def loss_as_guide(result: StudyResult, condition: str) -> LossAlone | None:
    """Tell what the loss alone would have chosen; None where the trials' losses differ in kind.

    Trials outside the question (references) are no choice, and are left out.
    """
    own = tuple(item for item in result.trials if item.trial.role in OWN)
    if len({item.trial.recipe.specs["loss"] for item in own}) != 1:
        return None
    samplers = {item.trial.recipe.specs["sampler"] for item in own}
    return loss_alone(finals(replace(result, trials=own), condition), samplers=len(samplers))


def loss_guide(result: StudyResult, condition: str) -> LossGuide | None:
    """Return the same as numbers; None where there is nothing to rank."""
    guide = loss_as_guide(result, condition)
    found = guide.ranking if guide else None
    if guide is None or found is None:
        return None
    return LossGuide(
        n_trials=found.trials,
        n_images=found.images,
        tau=_finite(found.tau),
        tau_interval=_interval(found.tau_low, found.tau_high),
        tau_of_means=_finite(found.overall),
        cost=_finite(found.cost),
        cost_interval=_interval(found.cost_low, found.cost_high),
        n_samplers=guide.samplers,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(low: float, high: float) -> Interval | None:
    return Interval(low, high, stats.LEVEL) if math.isfinite(low) and math.isfinite(high) else None
