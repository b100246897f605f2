"""Picks images and trials to show, and cuts them into panels: noisy, clean, denoised, error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from n2n_ablate.analysis import StudyResult, TrialResult
from n2n_ablate.analysis.header import Header
from n2n_ablate.report.figures import figures
from n2n_ablate.report.figures.figures import LARGEST_ERROR
from n2n_ablate.report.model import Report, Section, arms, left_out
from n2n_ablate.report.svg import data_png
from n2n_ablate.storage.recovered_images import Gallery

_ARMS, _SIDE = 4, 256


@dataclass(frozen=True)
class Panel:
    """A picture with its label; without `source` there is none, and `missing` says why."""

    label: str
    source: str = ""
    width: int = 0
    missing: str = ""


@dataclass(frozen=True)
class Strip:
    """One image: what was given, what should have come out, and what each trial made of it.

    Attributes:
        image: Its name.
        why: Why this one is shown.
        given: Noisy and clean.
        trials: Denoised image and error of each trial.
    """

    image: str
    why: str
    given: Sequence[Panel]
    trials: Sequence[tuple[Panel, Panel]]


@dataclass(frozen=True, eq=False)
class _Stage:
    """What the strips are cut from: the trials, or their confirmation."""

    result: StudyResult
    header: Header
    gallery: Gallery

    @property
    def seed(self) -> int:
        return self.result.plan.profile.seeds[0]


def _stage(report: Report) -> _Stage | None:
    """Return the stage that gives the words if its images are there, else the trials."""
    later, header = report.result.confirmed, report.header.confirmed
    if later and header and report.later and report.later.clean:
        return _Stage(later, header, report.later)
    if report.gallery is None or not report.gallery.clean:
        return None
    return _Stage(report.result, report.header, report.gallery)


def strips(report: Report, section: Section) -> list[Strip]:
    """Return the strips of a condition, at most three; none where no clean image is there."""
    stage = _stage(report)
    if stage is None:
        return []
    chosen = arms(stage.result, section.condition.label, _ARMS)
    return [
        _strip(report, section, stage, image, why, chosen)
        for image, why in _images(stage, section)
        if image in stage.gallery.clean
    ]


def caption(report: Report, section: Section, found: Sequence[Strip]) -> str:
    """Return what to know of the panels."""
    stage = _stage(report)
    if stage is None:
        return ""
    small = any(panel.width > _SIDE for strip in found for panel in strip.given)
    shrunk = f" Longer sides are shrunk to {_SIDE} pixels." if small else ""
    of = ""
    if report.result.confirmed:
        of = " of the confirmation" if stage.header is report.header.confirmed else " of the trials"
    fewer = left_out(stage.result, section.condition.label, _ARMS)
    return (
        f"Denoised images{of} and the size of their error, black for 0 to yellow for {LARGEST_ERROR} "
        f"and more (white is 1); seed {stage.seed}, PSNR of that fit.{shrunk} {fewer}"
    ).rstrip()


def _images(stage: _Stage, section: Section) -> list[tuple[str, str]]:
    """Return the images on which the first contrast gains most, in the middle, and least."""
    first, gaps = _gaps(stage, section)
    if not gaps:
        return [(mark.name, "") for mark in stage.header.images[:3]]
    order = sorted(gaps, key=lambda name: -gaps[name])
    name = section.names.get(first, first)
    words = {0: "highest", len(order) // 2: "middle", len(order) - 1: "lowest"}
    return [
        (order[at], f"{word} of {len(order)} differences of {name} from the baseline")
        if len(order) > 1
        else (order[at], "")
        for at, word in sorted(words.items())
    ]


def _gaps(stage: _Stage, section: Section) -> tuple[str, dict[str, float]]:
    """Return name and differences by image of the first contrast that has any."""
    base = stage.result.baseline
    second = base.by_image("psnr", section.condition.label) if base else {}
    for item in stage.result.contrasts:
        first = item.by_image("psnr", section.condition.label)
        gaps = {name: value - second[name] for name, value in first.items() if name in second}
        if gaps := {name: gap for name, gap in gaps.items() if math.isfinite(gap)}:
            return item.trial.name, gaps
    return "", {}


def _strip(
    report: Report,
    section: Section,
    stage: _Stage,
    image: str,
    why: str,
    chosen: Sequence[TrialResult],
) -> Strip:
    here = section.condition.label
    clean = stage.gallery.clean[image].pixels[0].numpy()
    subject = next(
        (
            item
            for item in stage.gallery.subjects
            if (item.condition.label, item.image.name, item.seed) == (here, image, stage.seed)
        ),
        None,
    )
    noisy = Panel("noisy", missing="cannot be made again")
    if subject is not None:
        pixels = subject.noisy[0].numpy()
        noisy = _panel(f"noisy, {figures.psnr(pixels, clean):.2f} dB", figures.photo(pixels))
    place = (here, image, stage.seed)
    trials = [_outcome(report, section, item, place, clean) for item in chosen]
    return Strip(image, why, (noisy, _panel("clean", figures.photo(clean))), trials)


def _outcome(
    report: Report,
    section: Section,
    item: TrialResult,
    place: tuple[str, str, int],
    clean: np.ndarray,
) -> tuple[Panel, Panel]:
    name = section.names.get(item.trial.name, item.trial.name)
    rows = [row for row in item.rows if (row.condition, row.image, row.seed) == place]
    denoised = report.found.denoised(rows[0]) if rows else None
    if denoised is None or rows[0].result.failure:
        missing = (rows[0].result.failure if rows else "not trained") or "image not kept"
        return Panel(name, missing=missing), Panel("error", missing=missing)
    psnr = rows[0].result.figures.get("psnr", math.nan)
    error = _panel("error", figures.error_map(denoised, clean))
    score = f", {psnr:.2f} dB" if math.isfinite(psnr) else ""
    return _panel(f"{name}{score}", figures.photo(denoised)), error


def _panel(label: str, picture: Image) -> Panel:
    shrink = -(-max(picture.size) // _SIDE)
    small = picture.reduce(shrink) if shrink > 1 else picture
    return Panel(label, data_png(small), picture.width)
