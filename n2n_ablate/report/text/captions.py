"""Captions of figures and galleries: what is drawn, and nothing that is not."""

from __future__ import annotations

import numpy as np

from n2n_ablate.analysis.records import ContrastRecord, Kind, Metric
from n2n_ablate.analysis.study_records import Scope
from n2n_ablate.report.numbers import format_percent, join_words, pluralize
from n2n_ablate.report.text.contrasts import contrast_name, unit_of
from n2n_ablate.report.text.study import metric_name, scope_text
from n2n_ablate.stats import LEVEL
from n2n_ablate.stats.response import Response

MOST, MIDDLE, LEAST = "most", "by the median amount", "least"


def trials(metric: Metric, scope: Scope, condition: str) -> str:
    """Return the caption of the table of trials."""
    return (
        f"Trials ranked by mean {metric_name(metric)} over {scope_text(scope, condition)}; differences from "
        "the baseline are paired by image."
    )


def effects(metric: Metric, scope: Scope, condition: str) -> str:
    """Return the caption of the table of effects."""
    return f"Effects of the factors on {metric_name(metric)} over {scope_text(scope, condition)}."


def confirmation(metric: Metric, scope: Scope, condition: str) -> str:
    """Return the caption of the table of a confirmation."""
    unit = f" in {metric.unit}" if metric.unit else ""
    return (
        f"Differences in {metric_name(metric)}{unit} in the main study and on held-out images "
        f"({scope_text(scope, condition)})."
    )


def chosen_image(how: str, record: ContrastRecord) -> str:
    """Return why an image is shown."""
    if record.contrast.kind is not Kind.TRIAL:
        return f"image on which the effect {contrast_name(record.contrast)} is {_SIZES[how]}"
    trial, _, base = contrast_name(record.contrast).partition(" vs ")
    return f"image on which {trial} gains {how} over {base}"


_SIZES = {MOST: "largest", MIDDLE: "of median size", LEAST: "smallest"}


def differences(metric: Metric, *, confirmed: bool, verdicts: bool) -> str:
    """Return the caption of differences with a dot per image."""
    where = ", in the main study and on held-out images" if confirmed else ""
    text = (
        f"Difference in {metric_name(metric)} of every trial from the baseline{where}: each image (dots), "
        "mean and confidence interval."
    )
    if verdicts:
        text += " Filled: contrasts with a verdict."
    if metric.margin:
        text += f" Shaded: the equivalence margin, \u00b1{metric.margin:g}{unit_of(metric)}."
    return text


def times(*, front: bool) -> str:
    """Return the caption of PSNR against training time."""
    text = "Mean PSNR against training time per fit."
    if front:
        text += " Line and filled markers: the Pareto front, trials that no other trial of the study beats in both."
    return f"{text} Times of cached fits are those of their first training."


def curves(*, band: bool, confirmed: bool) -> str:
    """Return the caption of PSNR by step."""
    where = " on held-out images" if confirmed else ""
    text = f"Mean PSNR by training step{where}; dashed: the baseline."
    if band:
        text += " Right: difference from the baseline with the pointwise 95 % band across images."
    return text


def response(key: str, fitted: Response | None, *, confirmed: bool) -> str:
    """Return the caption of the differences over one parameter."""
    text = f"Difference from the baseline (diamond) against {key}, with confidence intervals.{_smoothed(fitted)}"
    return text + _main_study(confirmed=confirmed)


def _smoothed(fitted: Response | None) -> str:
    if fitted is None:
        return ""
    band = ""
    if np.isfinite(fitted.half_width).all():
        band = f", with its {format_percent(LEVEL)} simultaneous confidence band"
    return f" Line: smoothed mean of {_images(fitted)}{band}. {_maximum(fitted)}"


def _maximum(fitted: Response) -> str:
    text = f"Its maximum is at {fitted.best:.3g}"
    if not np.isfinite(fitted.half_width).all() or not fitted.stretches:
        return f"{text}."
    ends = (
        f"{low:.3g} to {high:.3g}" if low < high else f"{low:.3g}" for low, high in fitted.stretches
    )
    edge = ", and may extend beyond the range tried" if fitted.at_edge else ""
    return f"{text}; the {format_percent(LEVEL)} confidence region of the maximum is {join_words(ends)}{edge}."


def _images(fitted: Response) -> str:
    lost = f" ({fitted.lost_images} excluded)" if fitted.lost_images else ""
    return f"{pluralize(fitted.images, 'image')}{lost}"


def diagnostics(*, confirmed: bool) -> str:
    """Return the caption of PSNR against leak and gap."""
    return (
        "PSNR against leak and gap: a dot per trial and image; lines join the trials on one image, and "
        f"only these are comparable.{_main_study(confirmed=confirmed)}"
    )


def measured_noise(scenes: int, shots: int) -> str:
    """Return the caption of what measured noise is like."""
    source = "shots that differ" if shots > 1 else "shot minus reference"
    return (
        f"The measured noise, from {source}: its correlation with pixels beside and below (mean of "
        f"{pluralize(scenes, 'scene')}), its standard deviation by brightness of the reference, and the share of it "
        "that each sampler leaks from one view to the other (diamonds: all scenes, dots: one)."
    )


def _main_study(*, confirmed: bool) -> str:
    return " From the main study, not from the confirmation." if confirmed else ""


def gallery(largest: float, seed: int, *, held_out: bool | None, side: int) -> str:
    """Return the caption of denoised images.

    `largest`: error at the end of the colour scale; `held_out`: whether they are held-out images; None in a
    study without a confirmation; `side`: longest side in pixels if images were shrunk, else 0.
    """
    where = {None: "", True: " of the confirmation", False: " of the main study"}[held_out]
    shrunk = f" Longer sides are shrunk to {side} pixels." if side else ""
    return (
        f"Denoised images{where} (seed {seed}, with the PSNR of that fit) and their absolute error, from 0 "
        f"(black) to {largest} or more (yellow) for images in [0, 1].{shrunk}"
    )


def sampler(name: str) -> str:
    """Return the caption of a drawn sampler."""
    return f"{name}: which pixels feed which view, and the weights of one pixel of each view."


def omitted(shown: int, total: int) -> str:
    """Return how many trials a figure leaves out; empty for none."""
    if shown == total:
        return ""
    return (
        f"{shown} of {total} trials are shown: the baseline, contrasts and the highest mean first."
    )
