"""Which of several trials has the highest mean PSNR, on the images that all of them have. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from n2n_ablate.analysis.trials import TrialResult


def shared_images(trials: Sequence[TrialResult], condition: str) -> list[str]:
    """Return the images that all trials have a result of, in the order of the first."""
    every = [item.by_image("psnr", condition) for item in trials]
    return [name for name in (every[0] if every else ()) if all(name in own for own in every)]


def shared_means(trials: Sequence[TrialResult], conditions: Sequence[str]) -> dict[str, float]:
    """Return the mean PSNR of every trial over the images that all of them have, by name.

    In a race a trial that is settled early has fewer images than the others: a mean over easy
    images says nothing beside a mean over hard ones.

    Args:
        trials: To be ranked.
        conditions: Labels of the noise; the mean is over images, then over these.

    Returns:
        Empty if under some condition no image is in all of them.
    """
    images = {condition: shared_images(trials, condition) for condition in conditions}
    if not all(images.values()):
        return {}
    return {
        item.trial.name: float(
            np.mean(
                [
                    np.mean([item.by_image("psnr", condition)[name] for name in names])
                    for condition, names in images.items()
                ]
            )
        )
        for item in trials
    }


def leader(trials: Sequence[TrialResult], conditions: Sequence[str]) -> str:
    """Return the name of the trial with the highest such mean, the first of equals; empty if none."""
    means = shared_means(trials, conditions)
    return max(means, key=lambda name: means[name], default="")
