"""Picks images and trials to show, and cuts them into panels: noisy, clean, denoised, error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from n2n_ablate.pictures import figures
from n2n_ablate.pictures.figures import LARGEST_ERROR
from n2n_ablate.report.model import Report, Section, arms
from n2n_ablate.report.svg import data_png
from n2n_ablate.results import TrialResult

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


def strips(report: Report, section: Section) -> list[Strip]:
    """Return the strips of a condition, at most three; none where no clean image is there."""
    if report.gallery is None or not report.gallery.clean:
        return []
    here = section.condition.label
    chosen = arms(report.result, here, _ARMS)
    return [
        _strip(report, section, image, why, chosen)
        for image, why in _images(report, section)
        if image in report.gallery.clean
    ]


def caption(found: Sequence[Strip], seed: int) -> str:
    """Return what to know of the panels."""
    small = any(panel.width > _SIDE for strip in found for panel in strip.given)
    shrunk = f" Longer sides are shrunk to {_SIDE} pixels." if small else ""
    return (
        f"Denoised images and the size of their error, black for 0 to yellow for {LARGEST_ERROR} "
        f"and more (white is 1); seed {seed}, PSNR of that fit.{shrunk}"
    )


def _images(report: Report, section: Section) -> list[tuple[str, str]]:
    """Return the images on which the first contrast gains most, in the middle, and least."""
    first = next((item for item in section.contrasts if item.difference), None)
    if first is None:
        return [(mark.name, "") for mark in report.header.images[:3]]
    gaps = {
        name: one - two for name, (one, two) in first.images.items() if math.isfinite(one - two)
    }
    order = sorted(gaps, key=lambda name: -gaps[name])
    name = section.names.get(first.first, first.first)
    words = {0: "highest", len(order) // 2: "middle", len(order) - 1: "lowest"}
    return [
        (order[at], f"{word} of {len(order)} differences of {name} from the baseline")
        if len(order) > 1
        else (order[at], "")
        for at, word in sorted(words.items())
    ]


def _strip(
    report: Report, section: Section, image: str, why: str, chosen: Sequence[TrialResult]
) -> Strip:
    assert report.gallery is not None
    here, seed = section.condition.label, report.found.plan.profile.seeds[0]
    clean = report.gallery.clean[image].pixels[0].numpy()
    subject = next(
        (
            item
            for item in report.gallery.subjects
            if (item.condition.label, item.image.name, item.seed) == (here, image, seed)
        ),
        None,
    )
    noisy = Panel("noisy", missing="cannot be made again")
    if subject is not None:
        pixels = subject.noisy[0].numpy()
        noisy = _panel(f"noisy, {figures.psnr(pixels, clean):.2f} dB", figures.photo(pixels))
    trials = [_outcome(report, section, item, image, clean) for item in chosen]
    return Strip(image, why, (noisy, _panel("clean", figures.photo(clean))), trials)


def _outcome(
    report: Report, section: Section, item: TrialResult, image: str, clean: np.ndarray
) -> tuple[Panel, Panel]:
    name = section.names.get(item.trial.name, item.trial.name)
    place = (section.condition.label, image, report.found.plan.profile.seeds[0])
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
