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
class Race:
    """What the user asked for.

    Attributes:
        budget: Seconds for the whole command; None for no limit. No batch of images is begun that
            would pass it. What comes before the race (a search) is not cut short.
    """

    budget: float | None = None


def sizes_for(bench: PairedData) -> tuple[int, ...]:
    """Return the images at each interim analysis of a race, whole scenes of a shuffled bench.

    Raises:
        StudyError: They are too few.
    """
    scenes = [getattr(image, "scene", image.name) for image in bench.images]
    counts = Counter(scenes)
    if len(counts) < 2:
        msg = f"--until-settled needs at least 2 images of different scenes, got {len(counts)}"
        raise StudyError(msg)
    upto = list(itertools.accumulate(counts[scene] for scene in dict.fromkeys(scenes)))
    return tuple(upto[size - 1] for size in stats.sizes_for(len(counts)))


def run_race(stage: PlanRunner, race: Race, begun: float) -> None:
    """Run a stage's contrasts until each is decided, the images are used up, or the budget is spent.

    A contrast that is decided under every condition gets no more images; the baseline gets every
    image that an open contrast needs. References have no verdict and get the first batch only.

    Args:
        stage: With the sizes of its interim analyses.
        race: What was asked.
        begun: When the command began, by `time.monotonic`.
    """
    plan, asked = stage.plan, [t for t in stage.plan.fixed if t.name in stage.plan.contrasts]
    others = [trial for trial in plan.fixed[1:] if trial not in asked]
    still, done, last = list(asked), 0, stage.sizes[-1]
    for size in stage.sizes:
        batch = [plan.baseline, *still]
        if not _affordable(stage, batch, size, race, begun):
            break
        stage.run(batch, images=size, more=True)
        done = size
        result = stage.result
        known = decided(result, stage.header)
        stage.audience.contrasts_looked(result, size)
        _close(stage, [trial for trial in still if trial.name in known], size)
        still = [trial for trial in still if trial.name not in known]
        if not still or size == last:
            break
    if done:
        _close(stage, [plan.baseline, *still], done)
        if others:
            stage.run(others, images=min(done, stage.sizes[0]))


def _affordable(
    stage: PlanRunner, batch: Sequence[Trial], size: int, race: Race, begun: float
) -> bool:
    per_fit = stage.trainer.per_fit
    if race.budget is None:
        return True
    left = race.budget - (time.monotonic() - begun)
    fits = stage.missing(batch, size)
    needed = fits * (per_fit or 0.0)
    if fits and (left <= 0 or needed > left):
        stage.audience.note(
            f"the budget ends before an interim analysis at {size} images: {fits} fits would take about "
            f"{needed:.0f} s and {max(0, left):.0f} s are left. The same command with a larger "
            "--budget goes on."
        )
        return False
    return True


def _close(stage: PlanRunner, trials: Sequence[Trial], images: int) -> None:
    """Keep trials that get no more images: nothing is left to train for them."""
    if trials:
        stage.run(trials, images=images)
