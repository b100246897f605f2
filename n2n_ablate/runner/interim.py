"""Buys images for the contrasts that are still open: batch by batch, until all is settled or spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from n2n_ablate.errors import StudyError
from n2n_ablate.runner.plan_runner import PlanRunner
from n2n_ablate.study import Trial

SIZES = (4, 6, 8, 12, 16, 24)
"""Images at each look, cut to the images there are."""


@dataclass(frozen=True)
class RaceOptions:
    """What the user asked for.

    Attributes:
        budget: Seconds for the whole command; None for no limit. No batch of images is begun that
            would pass it. What comes before the race (a search) is not cut short.
    """

    budget: float | None = None


def sizes_for(images: int) -> tuple[int, ...]:
    """Return the images at each look of a race on so many images.

    Raises:
        StudyError: They are too few to look at.
    """
    if images < 2:
        msg = f"--until-settled needs at least 2 images to look at, got {images}"
        raise StudyError(msg)
    # A last batch of a single image would be a look that costs error and says next to nothing.
    return (*(size for size in SIZES if size < images - 1), images)


def run_race(plan_runner: PlanRunner, race: RaceOptions, begun: float) -> None:
    """Run the contrasts until each has a word, the images are used up, or the budget is spent.

    A contrast that is settled under every condition gets no more images; the baseline gets every
    image that an open contrast needs. References have no verdict and get the first batch only.

    Args:
        plan_runner: With the sizes of its looks.
        race: What was asked.
        begun: When the command began, by `time.monotonic`.
    """
    plan, asked = (
        plan_runner.plan,
        [t for t in plan_runner.plan.fixed if t.name in plan_runner.plan.contrasts],
    )
    others = [trial for trial in plan.fixed[1:] if trial not in asked]
    still, done, last = list(asked), 0, plan_runner.sizes[-1]
    for size in plan_runner.sizes:
        batch = [plan.baseline, *still]
        if not _affordable(plan_runner, batch, size, race, begun):
            break
        plan_runner.run(batch, images=size, more=True)
        done = size
        looks = plan_runner.result.looks
        settled = {
            trial.name
            for trial in still
            if all(
                (look := looks.get((condition.label, trial.name))) is not None and look.settled
                for condition in plan.conditions
            )
        }
        plan_runner.dispatcher.interim_analysis_finished(plan_runner.result, size)
        _close(plan_runner, [trial for trial in still if trial.name in settled], size)
        still = [trial for trial in still if trial.name not in settled]
        if not still or size == last:
            break
    if done:
        _close(plan_runner, [plan.baseline, *still], done)
        if others:
            plan_runner.run(others, images=min(done, plan_runner.sizes[0]))


def _affordable(
    plan_runner: PlanRunner, batch: Sequence[Trial], size: int, race: RaceOptions, begun: float
) -> bool:
    per_fit = plan_runner.trainer.per_fit
    if race.budget is None:
        return True
    left = race.budget - (time.monotonic() - begun)
    fits = plan_runner.missing(batch, size)
    needed = fits * (per_fit or 0.0)
    if fits and (left <= 0 or needed > left):
        plan_runner.dispatcher.note(
            f"the budget ends before a look at {size} images: {fits} fits would take about "
            f"{needed:.0f} s and {max(0, left):.0f} s are left. The same command with a larger "
            "--budget goes on."
        )
        return False
    return True


def _close(plan_runner: PlanRunner, trials: Sequence[Trial], images: int) -> None:
    """Keep trials that get no more images: nothing is left to train for them."""
    if trials:
        plan_runner.run(trials, images=images)
