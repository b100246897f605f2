"""Picks images and trials to show, and cuts them into panels: noisy, clean, denoised, error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.analysis.study_records import ConditionAnalysis
from n2n_ablate.records import Header, StudyTrials, TrialResult
from n2n_ablate.report.document import Gallery, Panel, Strip
from n2n_ablate.report.figures import figures
from n2n_ablate.report.figures.figures import data_png
from n2n_ablate.report.text import captions
from n2n_ablate.storage.recovered_images import RecoveredImages
from n2n_ablate.storage.reopen import Reopened

_SIDE = 256


@dataclass(frozen=True, eq=False)
class Stage:
    """What the strips are cut from: the trials, or their confirmation."""

    study: Reopened  # reads denoised images
    result: StudyTrials  # of the stage
    header: Header
    images: RecoveredImages  # clean and noisy images, as far as they were recovered
    analysis: ConditionAnalysis  # of the stage under the condition to show
    held_out: bool | None  # whether it is the confirmation; None in a study without one

    @property
    def seed(self) -> int:
        """The seed whose fits are shown."""
        return self.result.plan.profile.seeds[0]


def gallery(
    stage: Stage, chosen: Sequence[TrialResult], names: Mapping[str, str], omitted: str
) -> Gallery | None:
    """Return strips of three images at most; None where no clean image was recovered."""
    strips = [
        _strip(stage, image, why, chosen, names)
        for image, why in _images(stage)
        if image in stage.images.clean
    ]
    if not strips:
        return None
    shrunk = any(max(stage.images.clean[strip.image].pixels.shape[-2:]) > _SIDE for strip in strips)
    caption = captions.gallery(
        figures.LARGEST_ERROR, stage.seed, held_out=stage.held_out, side=_SIDE if shrunk else 0
    )
    return Gallery(strips, f"{caption} {omitted}".rstrip())


def _images(stage: Stage) -> list[tuple[str, str]]:
    """Return the images on which the first contrast gains most, in the middle, and least."""
    record = next((each for each in stage.analysis.contrasts if len(_by_image(each)) > 1), None)
    if record is None:
        return [(mark.name, "") for mark in stage.header.images[:3]]
    gaps = _by_image(record)
    order = sorted(gaps, key=lambda name: -gaps[name])
    places = {0: captions.MOST, len(order) // 2: captions.MIDDLE, len(order) - 1: captions.LEAST}
    return [(order[at], captions.chosen_image(how, record)) for at, how in sorted(places.items())]


def _by_image(record: ContrastRecord) -> dict[str, float]:
    return {each.image: each.difference for each in record.images if each.difference is not None}


def _strip(
    stage: Stage, image: str, why: str, chosen: Sequence[TrialResult], names: Mapping[str, str]
) -> Strip:
    where = (stage.analysis.condition, image, stage.seed)
    clean = stage.images.clean[image].pixels[0].numpy()
    noisy = Panel("noisy", missing="the noisy image cannot be recreated")
    for sample in stage.images.samples:
        if (sample.condition.label, sample.image.name, sample.seed) == where:
            pixels = sample.noisy[0].numpy()
            label = f"noisy, {figures.psnr(pixels, clean):.2f} dB"
            noisy = _panel(label, figures.photo(pixels))
    name = "reference" if stage.images.clean[image].condition else "clean"  # of measured noise
    pairs = [(noisy, _panel(name, figures.photo(clean)))]
    pairs += [_outcome(stage, trial, where, clean, names) for trial in chosen]
    return Strip(image, why, pairs)


def _outcome(
    stage: Stage,
    trial: TrialResult,
    where: tuple[str, str, int],
    clean: np.ndarray,
    names: Mapping[str, str],
) -> tuple[Panel, Panel]:
    name = names.get(trial.trial.name, trial.trial.name)
    rows = [row for row in trial.rows if (row.condition, row.image, row.seed) == where]
    denoised = stage.study.denoised(rows[0]) if rows else None
    if denoised is None or rows[0].result.failure:
        missing = (rows[0].result.failure if rows else "not trained") or "image not stored"
        return Panel(name, missing=missing), Panel("error", missing=missing)
    psnr = rows[0].result.figures.get("psnr", math.nan)
    error = _panel("error", figures.error_map(denoised, clean))
    score = f", {psnr:.2f} dB" if math.isfinite(psnr) else ""
    return _panel(f"{name}{score}", figures.photo(denoised)), error


def _panel(label: str, picture: Image) -> Panel:
    shrink = -(-max(picture.size) // _SIDE)
    small = picture.reduce(shrink) if shrink > 1 else picture
    return Panel(label, data_png(small))
