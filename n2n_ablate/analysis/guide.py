"""How well the training loss, which needs no clean image, would have chosen among a study's trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from n2n_ablate import stats
from n2n_ablate.analysis.condition_records import LossGuide
from n2n_ablate.analysis.records import Interval
from n2n_ablate.records import StudyTrials
from n2n_ablate.records.results import OWN


def finals(result: StudyTrials, condition: str) -> dict[str, dict[str, tuple[float, float]]]:
    """Return final training loss and PSNR by trial and image."""
    found = {}
    for item in result.trials:
        psnr = item.by_image("psnr", condition)
        loss = item.by_image("loss", condition)
        found[item.trial.name] = {
            image: (loss.get(image, math.nan), value) for image, value in psnr.items()
        }
    return found


def ranked_by_loss(finals: Mapping[str, Mapping[str, tuple[float, float]]]) -> stats.Ranking | None:
    """Compare the order of trials by their final training loss with that by PSNR.

    Trials that have both on no image are left out, then images that a trial lost.
    """
    whole = [
        {image: pair for image, pair in values.items() if all(map(math.isfinite, pair))}
        for values in finals.values()
    ]
    kept = [values for values in whole if values]
    guides = [{image: -loss for image, (loss, _) in values.items()} for values in kept]
    truths = [{image: psnr for image, (_, psnr) in values.items()} for values in kept]
    return stats.ranking(guides, truths)


def loss_guide(result: StudyTrials, condition: str) -> LossGuide | None:
    """Return what the loss alone would have chosen among the study's own trials.

    None where there is nothing to rank, or the trials' losses differ in kind.
    """
    own = tuple(item for item in result.trials if item.trial.role in OWN)
    if len({item.trial.recipe.specs["loss"] for item in own}) != 1:
        return None
    found = ranked_by_loss(finals(replace(result, trials=own), condition))
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
