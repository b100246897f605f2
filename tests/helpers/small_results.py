"""Results of a small study under two conditions, made of numbers: what fits gave, and which failed."""

import math
from dataclasses import replace

import numpy as np

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.records import FitResult, Header, ImageRef, Row, StudyTrials, TrialResult
from n2n_ablate.study import plan, read

LOW, HIGH = "low", "high"
TEXT = """
name = "small"
question = "Does the centre matter?"
design = "one-at-a-time"

[baseline]
sampler = { name = "three-by-three", center = 0.01 }
backbone = { name = "zs-n2n", width = 4 }
loss = "residual-consistency"
training = "adam"

[[conditions]]
noise = { name = "gaussian", sigma = 15.0 }
label = "low"
[[conditions]]
noise = { name = "gaussian", sigma = 50.0 }
label = "high"

[factors]
"sampler.center" = [0.1, 0.2]

[profiles.quick]
images = ["builtin:astronaut"]
"""
NAN = math.nan  # a fit that failed
BASE = [20.0, 25.0, 30.0, 22.0]


def planned(folder, registry, text=TEXT):
    (folder / "small.toml").write_text(text)
    return plan(read(folder / "small.toml"), registry)


def trial(known, by_condition):
    """A trial of one seed from its PSNR by image, for each condition."""
    rows = []
    for condition, psnrs in by_condition.items():
        for place, psnr in enumerate(psnrs):
            lost = math.isnan(psnr)
            figures = {} if lost else {"psnr": psnr, "ssim": 0.5, "loss": 0.1}
            curves = {} if lost else {"psnr": np.array([psnr - 2, psnr])}
            key = f"{known.name}, {condition}, {place}"
            failure = "diverged by step 3" if lost else ""
            result = FitResult(key, figures, np.array([1, 2]), curves, None, 1.0, failure)
            rows.append(Row(condition, f"image {place}", 0, result))
    return TrialResult(known, tuple(rows))


def made(planned, base, one, two):
    """Baseline, 0.1 and 0.2, each by condition or the same under both."""
    given = [
        item if isinstance(item, dict) else {LOW: item, HIGH: item} for item in (base, one, two)
    ]
    return StudyTrials(planned, tuple(map(trial, planned.fixed, given)))


def header(planned, images=4, interim_sizes=()):
    marks = tuple(ImageRef(f"image {place}", str(place), (3, 24, 24)) for place in range(images))
    return Header(planned, marks, 30, "cpu", "fp32", interim_sizes=interim_sizes)


def analysis(result, **more):
    """What a result says, as records."""
    return analyse(result, header(result.plan, **more))


def records(result, condition=LOW, **more):
    """The declared contrasts under a condition, by name of the trial."""
    found = analysis(result, **more).condition(condition).contrasts
    return {record.contrast.name: record for record in found}


def raced(planned, *, settled, images=12):
    """A race of both contrasts under both conditions; 0.2 is settled at the first look under `settled`."""
    spread = np.random.default_rng(0).normal(size=(2, images))
    base = [25.0 + place for place in range(images)]
    clear, open_ = (
        [value + gain + width * more for value, more in zip(base, draws, strict=True)]
        for draws, gain, width in ((spread[0], 1.0, 0.05), (spread[1], 0.0, 1.0))
    )
    two = {label: clear if label in settled else open_ for label in (LOW, HIGH)}
    known = header(planned, images, (4, 6, 8, images))
    return replace(made(planned, base, open_, two), header=known), known
