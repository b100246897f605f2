"""What it takes to analyse a large study, to print it, and to write its report.

    python benchmarks/summaries.py                  1,000 trials, 24 images, 2 conditions
    python benchmarks/summaries.py --trials 250     quicker
    python benchmarks/summaries.py --profile        where the time of one part goes

Results are drawn from random numbers, shaped like those of a search over one parameter. Start-up and
reading the fits do not count; figures are processor time. In all at most 5 s, or the status is 1.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.records import FitResult, Header, ImageRef, Row, StudyTrials, TrialResult
from n2n_ablate.registry import Registry
from n2n_ablate.report.build import report_document
from n2n_ablate.report.render.console import print_document
from n2n_ablate.report.render.html import html
from n2n_ablate.report.sources import Sources
from n2n_ablate.report.study import study_document
from n2n_ablate.storage.journal import Contents
from n2n_ablate.storage.reopen import Reopened
from n2n_ablate.study import Trial, build, plan

MOST = 5.0
"""Seconds of processor time for analysis, terminal and HTML report of 1,000 trials."""
STEPS = np.arange(1, 26)
STUDY = {
    "name": "large",
    "question": "How much weight may the centre pixel carry?",
    "design": "search",
    "baseline": {
        "sampler": {"name": "three-by-three", "center": 0.01},
        "backbone": "zs-n2n",
        "loss": "residual-consistency",
        "training": "adam",
    },
    "conditions": [{"noise": {"name": "gaussian", "sigma": sigma}} for sigma in (25.0, 50.0)],
    "factors": {"sampler.center": {"low": 0.0, "high": 0.5, "levels": [0.2, 0.4]}},
    "profiles": {"quick": {"images": ["builtin"], "trials": 2000}},
}


def drawn(trials: int, images: int) -> Reopened:
    """Return a finished study of random results."""
    planned, rng = plan(build(STUDY), Registry()), np.random.default_rng(0)
    recipe = planned.baseline.recipe
    searched = [
        Trial(
            f"sampler.center={at / (2 * trials):g}",
            "search",
            recipe,
            {"sampler.center": at / (2 * trials)},
        )
        for at in range(trials)
    ]

    def fit(name: str, condition: str, image: int, shift: float) -> Row:
        value = 25 + image / 5 + shift + rng.normal(0, 0.05)
        figures = {"psnr": value, "ssim": 0.5 + value / 1000, "loss": 0.1 + rng.random()}
        curves = {"psnr": np.linspace(value - 2, value, len(STEPS))}
        result = FitResult(f"{name}, {condition}, {image}", figures, STEPS, curves, None, 1.0)
        return Row(condition, f"image {image}", 0, result)

    results = []
    for trial in (*planned.fixed, *searched):
        shift = rng.normal(0, 0.1)
        rows = [
            fit(trial.name, condition.label, image, shift)
            for condition in planned.conditions
            for image in range(images)
        ]
        results.append(TrialResult(trial, tuple(rows)))
    refs = tuple(ImageRef(f"image {at}", str(at), (3, 96, 96)) for at in range(images))
    header = Header(planned, refs, 500, "cpu", "fp32")
    result = StudyTrials(planned, tuple(results), header=header)
    finished = {each.trial.name: ("", 0.0) for each in results}
    journal = Contents(Path("large/quick-0.jsonl"), header)
    return Reopened(result, header, (), finished, (), journal, None)  # type: ignore[arg-type]


def parts(study: Reopened) -> dict[str, float]:
    """Return the seconds of each part, as a command does them: analysed once."""
    taken, start = {}, time.process_time()

    def done(name: str) -> None:
        nonlocal start
        taken[name], start = time.process_time() - start, time.process_time()

    analysis = analyse(study.result, study.header)
    done("analysis")
    console = Console(file=io.StringIO(), width=120)
    print_document(console, study_document(analysis))
    done("terminal")
    html(report_document(Sources(study, analysis, figures=True)))
    done("html")
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    study = drawn(asked.trials, asked.images)
    parts(drawn(3, 4))  # imports
    if asked.profile:
        profile = cProfile.Profile()
        profile.runcall(parts, study)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
        return 0
    rounds = []
    for _ in range(asked.rounds):
        rounds.append(parts(drawn(asked.trials, asked.images)))
    medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    for name, seconds in medians.items():
        print(f"{name:<10}{seconds:6.2f} s")
    print(f"{'in all':<10}{sum(medians.values()):6.2f} s")
    return int(sum(medians.values()) > MOST * max(1.0, asked.trials / 1000))


if __name__ == "__main__":
    sys.exit(main())
