"""How well the training loss, which needs no clean image, would have chosen among a study's trials."""

from __future__ import annotations

import math
from dataclasses import replace

from n2n_ablate import stats
from n2n_ablate.analysis.records import Interval
from n2n_ablate.analysis.study_records import LossGuide
from n2n_ablate.diagnostics.relation import loss_alone
from n2n_ablate.records import StudyResult
from n2n_ablate.records.results import OWN


def finals(result: StudyResult, condition: str) -> dict[str, dict[str, tuple[float, float]]]:
    """Return final training loss and PSNR by trial and image, for `loss_alone`."""
    found = {}
    for item in result.trials:
        psnr = item.by_image("psnr", condition)
        loss = item.by_image("loss", condition)
        found[item.trial.name] = {
            image: (loss.get(image, math.nan), value) for image, value in psnr.items()
        }
    return found


def loss_guide(result: StudyResult, condition: str) -> LossGuide | None:
    """Return what the loss alone would have chosen among the study's own trials.

    None where there is nothing to rank, or the trials' losses differ in kind.
    """
    own = tuple(item for item in result.trials if item.trial.role in OWN)
    if len({item.trial.recipe.specs["loss"] for item in own}) != 1:
        return None
    found = loss_alone(finals(replace(result, trials=own), condition)).ranking
    if found is None:
        return None
    return LossGuide(
        n_trials=found.trials,
        n_images=found.images,
        tau=_finite(found.tau),
        tau_interval=_interval(found.tau_low, found.tau_high),
        tau_of_means=_finite(found.overall),
        cost=_finite(found.cost),
        cost_interval=_interval(found.cost_low, found.cost_high),
        n_samplers=len({item.trial.recipe.specs["sampler"] for item in own}),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(low: float, high: float) -> Interval | None:
    return Interval(low, high, stats.LEVEL) if math.isfinite(low) and math.isfinite(high) else None
