"""Gives images to the contrasts that are still open: batch by batch, until all is decided or spent."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from n2n_ablate import stats
from n2n_ablate.analysis.analyse import decided
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import StudyError
from n2n_ablate.runner.plan_runner import PlanRunner
from n2n_ablate.study import Trial


@dataclass(frozen=True)
class RaceOptions:
    """What the user asked for."""

    # seconds for the whole command; None for no limit. No batch of images is begun that would pass
    # it. What comes before the race (a search) is not cut short.
    budget: float | None = None


def sizes_for(paired_data: PairedData) -> tuple[int, ...]:
    """Return the images at each interim analysis of a race, whole scenes at a time."""
    if paired_data.measured and len(paired_data.plan.conditions) > 1:
        msg = (
            "--until-settled adds images to all conditions alike, and measured conditions have images "
            "of their own. Give one --pairs at a time"
        )
        raise StudyError(msg)
    scenes = [image.scene for image in paired_data.images]
    counts = Counter(scenes)
    if len(counts) < 2:
        msg = f"--until-settled needs at least 2 images of different scenes, got {len(counts)}"
        raise StudyError(msg)
    upto = list(itertools.accumulate(counts[scene] for scene in dict.fromkeys(scenes)))
    return tuple(upto[size - 1] for size in stats.sizes_for(len(counts)))


def run_race(plan_runner: PlanRunner, race: RaceOptions, begun: float) -> None:
    """Run a plan_runner's contrasts until each is decided, the images are used up, or the budget is spent.

    A contrast that is decided under every condition gets no more images; the baseline gets every
    image that an open contrast needs. References have no verdict and get the first batch only.

    `plan_runner`: with the sizes of its interim analyses; `begun`: when the command began, by
    `time.monotonic`.
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
        result = plan_runner.result
        known = decided(result, plan_runner.header)
        plan_runner.dispatcher.interim_analysis_finished(result, size)
        _close(plan_runner, [trial for trial in still if trial.name in known], size)
        still = [trial for trial in still if trial.name not in known]
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
            f"the budget ends before an interim analysis at {size} images: {fits} fits would take about "
            f"{needed:.0f} s, and {max(0, left):.0f} s are left. To resume, run the same command with a "
            "larger --budget."
        )
        return False
    return True


def _close(plan_runner: PlanRunner, trials: Sequence[Trial], images: int) -> None:
    """Keep trials that get no more images: nothing is left to train for them."""
    if trials:
        plan_runner.run(trials, images=images)
