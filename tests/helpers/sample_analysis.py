"""Analyses made by hand, with every verdict in them, so that pages can be read without running a study."""

import math

import numpy as np
from scipy import stats

from n2n_ablate.analysis.records import (
    Caveat,
    Contrast,
    ContrastRecord,
    ImageDifference,
    Kind,
    LeaveOneOut,
    Metric,
    Planning,
    Reason,
    Role,
    Verdict,
    Wins,
)
from n2n_ablate.analysis.study_records import (
    Best,
    ConditionAnalysis,
    ConfirmationRecord,
    ConfirmedContrast,
    Failure,
    Family,
    FitCounts,
    Highest,
    Origin,
    Scope,
    SearchOutcome,
    StudyAnalysis,
    Support,
    TrialRecord,
)
from n2n_ablate.stats import Buy, Crossing, Interval, Peak, VarianceComponents

PSNR = Metric("psnr", "dB", margin=0.05, decides=True)
SSIM = Metric("ssim")
IMAGES = ("astronaut", "chelsea", "coffee", "motorcycle", "rocket", "tissue")
HELD_OUT = ("retina", "hubble", "camera", "coins", "brick", "grass", "gravel", "clock")
LABEL = "gaussian sigma 25"


def interval(differences, level):
    half = stats.t.isf((1 - level) / 2, len(differences) - 1) * np.std(differences, ddof=1)
    mean = float(np.mean(differences))
    half = float(half / math.sqrt(len(differences)))
    # Rounded: the last bits differ between machines.
    return Interval(round(mean - half, 9), round(mean + half, 9), level)


def spread(mean, sd, images, seed):
    """Differences with exactly this mean and standard deviation."""
    draws = np.random.default_rng(seed).normal(size=len(images))
    return mean + sd * (draws - draws.mean()) / draws.std(ddof=1)


def contrast(center, verdict, mean, sd, *, images=IMAGES, condition=LABEL, family=2, **more):
    """A contrast of the centre weight with 0.01; without a verdict an exploratory one."""
    differences = spread(mean, sd, images, seed=int(1000 * center))
    primary = verdict is not None
    wins = int((differences > 0).sum())
    given = {
        "contrast": Contrast(
            f"sampler.center={center:g}",
            "baseline",
            Kind.TRIAL,
            {"sampler.center": center},
            {"sampler.center": 0.01},
        ),
        "condition": condition,
        "metric": PSNR,
        "role": Role.PRIMARY if primary else Role.EXPLORATORY,
        "verdict": verdict,
        "reason": None,
        "estimate": round(float(differences.mean()), 9),
        "difference_interval": interval(differences, 1 - 0.05 / family if primary else 0.95),
        "equivalence_interval": interval(differences, 1 - 0.1 / family) if primary else None,
        "n_images": len(images),
        "n_clusters": len(images),
        "n_seeds": 1,
        "family_size": family if primary else 1,
        "sd": sd,
        "effect_size": mean / sd,
        "wins": Wins(wins, len(images) - wins, 0, len(images), wins / len(images), None),
        "images": tuple(
            ImageDifference(name, name, round(27 + float(gap), 9), 27.0, round(float(gap), 9))
            for name, gap in zip(images, differences, strict=True)
        ),
    }
    if primary:
        given |= {
            "p_holm": 0.0012,
            "p_sign_flip": 0.031,
            "p_sign_flip_smallest": 0.031,
            "probability_equivalent": 0.4,
            "leave_one_out": LeaveOneOut(
                mean - sd / 8, mean + sd / 8, images[0], mean - sd / 8, verdict, verdict_holds=True
            ),
            "planning": Planning(0.06, 16 if verdict is Verdict.INCONCLUSIVE else None),
        }
    return ContrastRecord(**(given | more))


def trial(name, role, psnr, record=None, *, rank=None, seconds=3.9, parameters=None, **more):
    steps = tuple(range(50, 501, 50))
    curve = tuple(psnr - 6 * math.exp(-step / 90) for step in steps)
    given = {
        "parameters": parameters or {},
        "means": {"psnr": psnr, "ssim": psnr / 40},
        "contrast": record,
        "secondary": {},
        "n_images": len(IMAGES),
        "n_images_given": len(IMAGES),
        "n_fits": len(IMAGES) if seconds else 0,
        "n_failed": 0,
        "seconds_per_fit": seconds,
        "curve": (steps, curve) if seconds else ((), ()),
    }
    return TrialRecord(name, role, rank, **(given | more))


def other(name, mean, sd):
    """A row outside the factors, compared without a verdict."""
    record = contrast(0.3, None, mean, sd)
    return ContrastRecord(**{**vars(record), "contrast": Contrast(name)})


def scope(images=IMAGES, compared=None):
    return Scope(len(images), len(images), compared or len(images), 1, (96, 96), (96, 96), 500)


def rows(zero, two):
    center = "sampler.center"
    return (
        trial("diagonal", "reference", 28.24, other("diagonal", 1.24, 0.4), seconds=4.5),
        trial("nl-means", "untrained", 28.01, other("nl-means", 1.0, 0.5), seconds=None),
        trial(f"{center}=0", "declared", 27.013, zero, rank=1, parameters={center: 0.0}),
        trial("baseline", "baseline", 27.01, rank=2, parameters={center: 0.01}, pareto=True),
        trial(f"{center}=0.2", "declared", 26.56, two, rank=3, parameters={center: 0.2},
              peak=Peak(350, 0.04, Interval(0.01, 0.07, 0.95), 0.05), crossing=Crossing(120.0, 90, 150, certain=True)),
        trial(f"{center}=0.408", "search", 25.85, contrast(0.408, None, -1.16, 0.3), rank=4, parameters={center: 0.408}),
        trial("noisy", "untrained", 20.76, other("noisy", -6.25, 1.5), seconds=None),
    )  # fmt: skip


def variance():
    return VarianceComponents(Buy.ONE_SEED, len(IMAGES), 1, 2)


def condition(trials, contrasts, label=LABEL, **more):
    best = next((row for row in trials if row.rank == 1), None)
    highest = best and Highest(
        best.name, best.role, best.means["psnr"], 27.01, len(IMAGES), len(IMAGES), best.contrast
    )
    given = {"scope": scope(), "highest": highest, "variance": variance()}
    return ConditionAnalysis(label, trials=trials, contrasts=contrasts, **(given | more))


def study(conditions, *, family=None, **more):
    given = {
        "study": "center-weight",
        "question": "How much weight may the centre pixel of the 3x3 sampler carry?",
        "profile": "quick",
        "plan": "8f0eab29fc",
        "settings": (),
        "images": IMAGES,
        "clusters": {name: name for name in IMAGES},
        "seeds": (0,),
        "metrics": (PSNR, SSIM),
        "family": family or Family(2, 1),
        "conditions": conditions,
        "summary": (),
        "best": Best("baseline", Support.NOTHING_BETTER, 27.01, len(IMAGES), {}, highest="sampler.center=0"),
        "fits": FitCounts(48, 0, 0, 200.0),
    }  # fmt: skip
    return StudyAnalysis(**(given | more))


def unconfirmed():
    """One contrast worse, one inconclusive, nothing confirmed."""
    zero = contrast(0.0, Verdict.INCONCLUSIVE, 0.001, 0.05)
    two = contrast(0.2, Verdict.WORSE, -0.45, 0.15)
    return study((condition(rows(zero, two), (zero, two)),))


def confirmed():
    """The same after a search, confirmed on held-out images."""
    before = unconfirmed()
    zero = contrast(0.0, Verdict.EQUIVALENT, 0.002, 0.03, images=HELD_OUT)
    two = contrast(0.2, Verdict.WORSE, -0.50, 0.2, images=HELD_OUT)
    trials = (
        trial("sampler.center=0", "declared", 26.9, zero, rank=1, parameters={"sampler.center": 0.0}),
        trial("baseline", "baseline", 26.9, rank=2, parameters={"sampler.center": 0.01}),
        trial("sampler.center=0.2", "declared", 26.4, two, rank=3, parameters={"sampler.center": 0.2}),
    )  # fmt: skip
    later = study((condition(trials, (zero, two), scope=scope(HELD_OUT)),), images=HELD_OUT)
    own = before.conditions[0].contrasts
    pairs = (
        ConfirmedContrast(Origin.DECLARED, own[0], zero, -0.001, Interval(-0.08, 0.08, 0.95, "welch")),
        ConfirmedContrast(Origin.DECLARED, own[1], two, -0.05, Interval(-0.24, 0.14, 0.95, "welch")),
    )  # fmt: skip
    record = ConfirmationRecord(later, {LABEL: pairs}, search=SearchOutcome.NONE_ABOVE_BASELINE)
    return study(before.conditions, confirmation=record, confirmation_planned=True, searched=True)


def troubled():
    """A baseline that failed on an image, a trial that failed everywhere, one that is identical."""
    zero = contrast(
        0.0, Verdict.WITHHELD, 0.3, 0.05, reason=Reason.BASELINE_LOST_IMAGES, lost_by_baseline=1,
        caveats=(Caveat.IMAGES_LOST,), planning=None,
    )  # fmt: skip
    same = contrast(
        0.1, Verdict.IDENTICAL, 0.0, 1e-12, estimate=0.0, difference_interval=None, equivalence_interval=None, planning=None
    )  # fmt: skip
    lost = contrast(
        0.2, Verdict.WITHHELD, 0.0, 1.0, estimate=None, reason=Reason.TRIAL_FAILED, planning=None, n_images=0,
        difference_interval=None, equivalence_interval=None, wins=None, effect_size=None,
        p_holm=None, p_sign_flip=None, probability_equivalent=None, leave_one_out=None,
    )  # fmt: skip
    center = "sampler.center"
    trials = (
        trial(f"{center}=0", "declared", 27.3, zero, rank=1, parameters={center: 0.0}),
        trial(f"{center}=0.1", "declared", 27.0, same, rank=2, parameters={center: 0.1}),
        trial("baseline", "baseline", 27.0, rank=3, parameters={center: 0.01}, n_failed=1),
        trial(f"{center}=0.2", "declared", 27.0, lost, parameters={center: 0.2}, n_failed=6,
              means={"psnr": None, "ssim": None}, curve=((), ()), n_images=0),
    )  # fmt: skip
    failures = (
        Failure("baseline", LABEL, "coffee", 0, "the loss was not finite at step 3"),
        *(Failure(f"{center}=0.2", LABEL, name, 0, "the loss was not finite at step 1") for name in IMAGES),
    )  # fmt: skip
    here = condition(trials, (zero, same, lost), unequal_images=True)
    return study((here,), failures=failures, fits=FitCounts(24, 7, 12, 80.0), family=Family(3, 1))
