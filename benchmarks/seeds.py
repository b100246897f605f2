"""Is it the noise or the training that makes seeds differ? Both crossed on every image, measured.

    python benchmarks/seeds.py                              prints, takes some five minutes on two cores
    python benchmarks/seeds.py --out docs/results/account   writes JSON and Markdown too

In a study one seed stands for a draw of the noise and for one training. Here every noisy image is
trained on several times, with other initial weights and other numbers for the sampler.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from crossed import SOURCES, Crossed, Part, crossed

from n2n_ablate import engine
from n2n_ablate.engine import Fit, fit_all
from n2n_ablate.engine.identity import generator, stream
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.registry import Registry
from n2n_ablate.study import Trial, plan, read, shipped

STUDY = "samplers"
TRIALS = ("sampler=three-by-three(center=0.01)", "sampler=stripe(axis=rows)")
NAMES = ("astronaut", "chelsea", "coffee", "motorcycle", "rocket", "tissue")
WORDS = {
    "image": "image",
    "noise": "noise seed",
    "training": "training seed",
    "rest": "noise seed x training seed",
}


def opened(seeds: int, settings: list[str]) -> PairedData:
    """Return the bench of the study's images with noise of several seeds."""
    registry = Registry()
    images = [f"builtin:{name}" for name in NAMES]
    planned = plan(
        read(shipped()[STUDY]),
        registry,
        profile="quick",
        images=images,
        seeds=seeds,
        settings=settings,
    )
    return PairedData(planned, registry, engine.machine("auto", "auto"))


def crossed_fits(bench: PairedData, trial: Trial, trainings: int) -> Iterator[Fit]:
    """Yield every fit of a trial once for each seed of the training.

    A fit's own noise stays. Weights and sampler get the streams that a fit of that seed would have.
    """
    for each, sample in zip(bench.fits(trial.recipe), bench.samples, strict=True):
        digest = sample.image.digest
        for seed in range(trainings):
            yield replace(
                each,
                key=f"{trial.name}/{sample.image.name}/{sample.seed}/{seed}",
                init_seed=stream("weights", digest, seed),
                rng=partial(generator, image_digest=digest, seed=seed),
            )


def psnr(
    bench: PairedData, trials: list[Trial], seeds: int, trainings: int
) -> dict[str, np.ndarray]:
    """Train everything; return PSNR by trial, shape (images, noise seeds, training seeds)."""
    fits = [one for trial in trials for one in crossed_fits(bench, trial, trainings)]
    found: dict[str, float] = {}
    for result in fit_all(fits, bench.machine):
        found[result.key] = result.figures["psnr"]
        print(f"{len(found)} of {len(fits)}: {result.key} {found[result.key]:.2f} dB", flush=True)
    shape = (len(NAMES), seeds, trainings)
    values = np.array([found[one.key] for one in fits]).reshape(len(trials), *shape)
    return {trial.name: own for trial, own in zip(trials, values, strict=True)}


def rows(account: Crossed) -> list[str]:
    lines = [
        "| source | shared, dB | of the difference, dB | share of the mean's variance |",
        "|---|---|---|---|",
    ]
    for name in SOURCES:
        cells = [WORDS[name], told(account.shared[name]), told(account.own[name])]
        lines.append(f"| {' | '.join(cells)} | {account.share[name]:.0%} |")
    return lines


def told(part: Part) -> str:
    return f"{part.sd:.3f} ({part.low:.3f} to {part.high:.3f})"


def page(found: dict[str, Crossed], base: np.ndarray, about: dict[str, object]) -> str:
    images, noises, trainings = base.shape
    lines = [
        "# Do seeds differ because of the noise or the training?",
        "",
        f"{images} images of 96x96 pixels, Gaussian noise of sigma 25, clipped, {about['steps']} steps;",
        f"each with {noises} draws of the noise, and {trainings} trainings on each noisy image, with other",
        "initial weights and other random numbers of the sampler. In a study one seed means both.",
        "",
        "Standard deviations in dB with 95 % confidence intervals: of what a trial and the baseline *share*, which",
        "pairing removes, and of their *difference*, where *image* is the variation between images of the effect of the",
        "trial. The last column is the share of the variance of the mean difference in this design. [The variance",
        "account](../explanation/fairness-and-statistics.md#images-or-seeds).",
    ]
    for name, account in found.items():
        gap = about["differences"][name]
        lines += ["", f"## {name} against diagonal: {gap:+.2f} dB", "", *rows(account)]
    lines += ["", "```sh", about["command"], "```", "", f"{about['machine']}.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--noises", type=int, default=2)
    parser.add_argument("--trainings", type=int, default=2)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--out", type=Path, help="without suffix: writes .json and .md")
    given = parser.parse_args()
    bench = opened(given.noises, [f"training.steps={given.steps}"])
    declared = {trial.name: trial for trial in bench.plan.declared}
    trials = [bench.plan.baseline, *(declared[name] for name in TRIALS)]
    base, *others = psnr(bench, trials, given.noises, given.trainings).values()
    short = [name.partition("=")[2] for name in TRIALS]
    found = {name: crossed(own, base) for name, own in zip(short, others, strict=True)}
    about = {
        "command": f"python {shlex.join(sys.argv)}",
        "machine": f"{bench.machine.name}, {bench.machine.precision}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        "steps": given.steps,
        "differences": {
            name: float((own - base).mean()) for name, own in zip(short, others, strict=True)
        },
    }
    text = page(found, base, about)
    print(text)
    if given.out:
        values = {"diagonal": base, **dict(zip(short, others, strict=True))}
        record = about | {
            "images": NAMES,
            "psnr": {name: np.round(own, 4).tolist() for name, own in values.items()},
        }
        given.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        given.out.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
