"""Summaries are linear in trials times images."""

import time
from dataclasses import replace

import numpy as np
import pytest
from helpers import small_results as small

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.records import FitResult, Row, StudyTrials, TrialResult
from n2n_ablate.study import Trial

STEPS = np.arange(1, 26)


def trial(known, shift, rng):
    rows = []
    for condition in (small.LOW, small.HIGH):
        for image in range(24):
            value = 25 + image / 5 + shift + rng.normal(0, 0.05)
            figures = {"psnr": value, "ssim": 0.5 + value / 1000, "loss": 0.1 + rng.random()}
            curves = {"psnr": np.linspace(value - 2, value, 25)}
            key = f"{known.name}, {condition}, {image}"
            fit = FitResult(key, figures, STEPS, curves, None, 1.0)
            rows.append(Row(condition, f"image {image}", 0, fit))
    return TrialResult(known, tuple(rows))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_trials_of_24_images_under_two_conditions_take_seconds(folder, registry):
    plan, rng = small.planned(folder, registry), np.random.default_rng(0)
    recipe = plan.baseline.recipe
    searched = [
        Trial(f"sampler.center={at / 1000}", "search", recipe, {"sampler.center": at / 1000})
        for at in range(1000)
    ]
    taken = []
    for count in (250, 1000):
        known = [plan.baseline, *searched[:count]]
        result = StudyTrials(plan, tuple(trial(one, rng.normal(0, 0.1), rng) for one in known))
        start = time.process_time()
        found = analyse(result, small.header(plan, 24))
        taken.append(time.process_time() - start)
        assert len(found.condition(small.LOW).trials) == count + 1
        assert found.best.highest
        assert replace(found, conditions=()).family.size == 4
    assert taken[1] < 5
    assert taken[1] < 8 * taken[0]
