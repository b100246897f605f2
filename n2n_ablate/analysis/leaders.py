"""Which of several trials has the best mean, on the images that all of them have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from n2n_ablate.records import StudyResult, TrialResult
from n2n_ablate.records.results import OWN, mean_of


def whole(result: StudyResult, conditions: Sequence[str]) -> list[TrialResult]:
    """Return the study's own trials that have results and lost no fit under these conditions."""
    return [item for item in result.trials if item.trial.role in OWN and item.complete(conditions)]


def shared_means(
    trials: Sequence[TrialResult], conditions: Sequence[str], metric: str
) -> tuple[dict[str, float], int]:
    """Return the mean of every trial over the images that all of them have, and how many these are.

    In a race a trial that is decided early has fewer images than others: a mean over easy images
    says nothing beside a mean over hard ones. The mean is over images, then over conditions.

    Returns:
        Nothing if under some condition no image is in all of them.
    """
    totals, fewest = dict.fromkeys((item.trial.name for item in trials), 0.0), math.inf
    for condition in conditions:
        values = [item.values(metric, condition) for item in trials]
        shared = set(values[0]).intersection(*values[1:]) if values else set()
        if not shared:
            return {}, 0
        fewest = min(fewest, len(shared))
        for item, own in zip(trials, values, strict=True):
            mean = math.fsum(mean_of(own[image]) for image in sorted(shared)) / len(shared)
            totals[item.trial.name] += mean / len(conditions)
    return totals, int(fewest) if trials else 0


def leader(means: Mapping[str, float], higher_is_better: bool) -> str:
    """Return the name of the best mean, the first of equals; empty if there is none."""
    sign = 1 if higher_is_better else -1
    return max(means, key=lambda name: sign * means[name], default="")
