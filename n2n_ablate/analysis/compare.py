"""One contrast in full: any two trials of a study under one condition, image by image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from n2n_ablate import stats
from n2n_ablate.analysis.answer import shown, signed
from n2n_ablate.analysis.curves import image_curves
from n2n_ablate.analysis.names import label
from n2n_ablate.analysis.trials import StudyResult, TrialResult
from n2n_ablate.study import BASELINE

ONE_LOOK = "that of a single look, so too small in a race"
"""What to know of p values that stand beside the words of a race."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is known of the difference between two trials under one condition.

    Attributes:
        condition: Label of the noise.
        first, second: Names of the trials; the difference is first minus second.
        images: PSNR of both by image, seeds averaged; NaN where a trial lost the image.
        difference: None if no image is in both.
        declared: True if the study asked for this contrast before it ran.
        verdict: Of a declared contrast; else empty.
        peaks: What training beyond the peak costs, of either trial.
        crossing: Where they change places; None if their curves cannot be compared.
        account: Where the uncertainty comes from.
        names: What tables print, by name of the trial.
        looks: Images at each look of a race that gave the interval; empty for a plain one.
        confirmed: The same of the confirmation, which then has the word; None without one.
    """

    condition: str
    first: str
    second: str
    images: Mapping[str, tuple[float, float]]
    difference: stats.Difference | None
    declared: bool
    verdict: str
    peaks: tuple[stats.Peak | None, stats.Peak | None]
    crossing: stats.Crossing | None
    account: stats.Account
    names: Mapping[str, str]
    looks: tuple[int, ...] = ()
    confirmed: Comparison | None = None

    def called(self, name: str) -> str:
        """Return what to call a trial in a sentence."""
        return BASELINE if name == BASELINE else self.names[name]


def compare(
    result: StudyResult, first: TrialResult, second: TrialResult, condition: str
) -> Comparison:
    """Compare two trials of a study under one condition.

    A contrast that the study declared keeps the interval and the word that its table gives. Any
    other gets a plain interval and no word.
    """
    one, two = first.by_image("psnr", condition), second.by_image("psnr", condition)
    names = dict.fromkeys([*one, *two])
    difference, verdict = _declared(result, first, second, condition)
    declared = _asked(result, first, second) or _asked(result, second, first)
    given = {*first.given(condition)} & {*second.given(condition)}  # others a race left out
    known = [{name: own[name] for name in own if name in given} for own in (one, two)]
    later = _later(result, first, second, condition)
    return Comparison(
        condition=condition,
        first=first.trial.name,
        second=second.trial.name,
        images={name: (one.get(name, math.nan), two.get(name, math.nan)) for name in names},
        difference=difference or stats.paired(*known),
        declared=declared,
        verdict="" if result.confirmed else verdict,
        peaks=(peak(first, condition), peak(second, condition)),
        crossing=crossing(first, second, condition),
        account=stats.account(
            [first.by_seed("psnr", condition)], second.by_seed("psnr", condition)
        ),
        names={
            item.trial.name: label(item.trial.name, item.trial.role, result.plan)
            for item in (first, second)
        },
        looks=result.raced(condition, _arm(first, second)) if declared else (),
        confirmed=later,
    )


def peak(item: TrialResult, condition: str) -> stats.Peak | None:
    """Return peak against final PSNR of a trial."""
    own = image_curves(item, "psnr", condition)
    return stats.peak(own.steps, np.array(list(own.images.values()))) if own.images else None


def gaps(
    first: TrialResult, second: TrialResult, condition: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return steps and the differences in PSNR by image and step; None where steps differ."""
    one, two = (image_curves(item, "psnr", condition) for item in (first, second))
    shared = [image for image in one.images if image in two.images]
    if not shared or not np.array_equal(one.steps, two.steps):
        return None
    return one.steps, np.array([one.images[image] - two.images[image] for image in shared])


def crossing(first: TrialResult, second: TrialResult, condition: str) -> stats.Crossing | None:
    """Return the step at which two trials change places for good."""
    found = gaps(first, second, condition) if first is not second else None
    return stats.crossing(*found) if found else None


def sentences(found: Comparison, margin: float) -> list[str]:
    """Return what a comparison says, most important first."""
    gap = found.difference
    if gap is None:
        return ["No image has a result of both trials, so there is nothing to compare."]
    told = [_headline(found, gap), *_words(found, gap, margin)]
    called = (found.called(found.first), found.called(found.second))
    told += [text for text in map(_peak, called, found.peaks) if text]
    told.append(_crossing(found))
    told.append(f"Uncertainty: {found.account.advice}.")
    later = found.confirmed
    if later is not None and later.difference is not None:
        told.append(f"Confirmed on other images: {_headline(later, later.difference)}")
        if later.declared:
            told.append(_could_see(later.difference, margin))
    return told


def told_crossing(found: stats.Crossing | None) -> str:
    """Return `step 120 (90 to 150)` in print, with a question mark if it is not certain."""
    if found is None or found.step is None:
        return ""
    doubt = "" if found.certain else "?"
    return f"step {found.step:.0f}{doubt} ({found.low} to {found.high})"


def _headline(found: Comparison, gap: stats.Difference) -> str:
    both = sum(all(map(math.isfinite, values)) for values in found.images.values())
    images = stats.counted(gap.n, "image")
    images = f"the first {gap.n} of {both} images" if gap.n < both else images
    names = f"{found.called(found.first)} against {found.called(found.second)}"
    text = f"{names}: {shown(gap)} dB over {images}"
    if not math.isfinite(gap.half_width):
        return f"{text}; {gap.caveat}."
    word = f": {found.verdict}" if found.verdict else ""
    ends = f"{signed(gap.low)} to {signed(gap.high)}"
    kind = "t interval"
    if found.looks:
        kind = f"repeated interval (looks after {', '.join(map(str, found.looks))} images)"
    return f"{text}; {100 * gap.level:.4g} % {kind} {ends}{word}."


def _words(found: Comparison, gap: stats.Difference, margin: float) -> list[str]:
    flips = stats.sign_flip(gap.gaps)
    effect = f"effect d_z {signed(gap.effect)}; " if math.isfinite(gap.effect) else ""
    ties = f", equal on {gap.ties}" if gap.ties else ""
    only = f"; p is {ONE_LOOK}" if found.looks else ""
    first = (
        f"{effect}higher on {gap.wins}, lower on {gap.losses}{ties} of {gap.n}; sign-flip "
        f"p {flips.p:.2g}, where so many images can give no less than {flips.smallest:.2g}{only}."
    )
    told = [first[0].upper() + first[1:]]
    chosen = found.confirmed is not None and found.confirmed.declared
    if found.declared:
        told.append(f"Declared by the study. {_could_see(gap, margin)}")
    elif chosen:
        told.append(
            "Chosen by the search on these images, so the word is its confirmation's alone."
        )
    else:
        told.append(
            "No verdict: the study did not declare this contrast. A pair that is picked after the "
            "results are known differs by luck too, and this interval does not allow for it."
        )
    if gap.caveat and math.isfinite(gap.half_width):
        told.append(f"Note: {gap.caveat}.")
    return told


def _could_see(gap: stats.Difference, margin: float) -> str:
    seen = stats.detectable(gap)
    more = f"; {seen:.2f} dB would have been seen" if seen is not None else ""
    return f"Margin \u00b1{margin:g} dB{more}."


def _peak(name: str, found: stats.Peak | None) -> str:
    if found is None:
        return ""
    if found.oracle == 0:
        return f"{name}: PSNR is highest at the last step, on every image."
    if math.isnan(found.gain):
        return (
            f"{name}: PSNR peaks at step {found.step}, {found.oracle:.2f} dB above the last; one "
            "image, so there is no other to choose that step by."
        )
    ends = f" ({signed(found.low)} to {signed(found.high)})" if math.isfinite(found.low) else ""
    return (
        f"{name}: mean PSNR peaks at step {found.step}; stopping at the peak of the other images "
        f"would have gained {signed(found.gain)} dB{ends}."
    )


def _crossing(found: Comparison) -> str:
    if found.crossing is None:
        return "Their curves have no points in common, so nothing can be said of changing places."
    if found.crossing.step is None:
        return "They do not change places during training."
    sure = "" if found.crossing.certain else ", but that they do is not certain"
    return f"They change places at {told_crossing(found.crossing).replace('?', '')}{sure}."


def _later(
    result: StudyResult, first: TrialResult, second: TrialResult, condition: str
) -> Comparison | None:
    """Compare what the confirmation found of the same trials."""
    if result.confirmed is None:
        return None
    there = {item.trial.name: item for item in result.confirmed.trials}
    pair = (there.get(first.trial.name), there.get(second.trial.name))
    if pair[0] is None or pair[1] is None:
        return None
    return compare(result.confirmed, pair[0], pair[1], condition)


def _arm(first: TrialResult, second: TrialResult) -> str:
    """Return the name of the trial that is compared with the baseline, whichever way round."""
    return (second if first.trial.role == BASELINE else first).trial.name


def _asked(result: StudyResult, first: TrialResult, second: TrialResult) -> bool:
    return second.trial.role == BASELINE and any(
        item.trial.name == first.trial.name for item in result.contrasts
    )


def _declared(
    result: StudyResult, first: TrialResult, second: TrialResult, condition: str
) -> tuple[stats.Difference | None, str]:
    """Return the table's interval and word of a declared contrast, whichever way round it is asked."""
    forward, backward = _asked(result, first, second), _asked(result, second, first)
    if not (forward or backward):
        return None, ""
    name = _arm(first, second)
    line = next(line for line in result.lines(condition) if line.name == name)
    gap = line.difference
    if gap is None or forward:
        return gap, line.verdict
    turned = replace(
        gap,
        gaps=tuple(-value for value in gap.gaps),
        lost=gap.other_lost,
        other_lost=gap.lost,
    )
    swapped = {"better": "worse", "worse": "better"}
    return turned, swapped.get(line.verdict, line.verdict)
