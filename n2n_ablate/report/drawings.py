"""Figures and denoised images of a report as blocks: what is worth drawing, with which trials and which caption."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL.Image import Image

from n2n_ablate.analysis.diagnoses import points
from n2n_ablate.analysis.names import only_factor
from n2n_ablate.analysis.records import ContrastRecord
from n2n_ablate.analysis.study_records import ConditionAnalysis, StudyAnalysis, TrialRecord
from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.diagnostics.measured_noise import noise_figures
from n2n_ablate.records import Header, StudyTrials, TrialResult
from n2n_ablate.report import tables
from n2n_ablate.report.document import Block, Figure, Gallery, Panel, Strip
from n2n_ablate.report.figures import curves as curve_figures
from n2n_ablate.report.figures import diagnostics as diagnostic_figures
from n2n_ablate.report.figures import differences as difference_figures
from n2n_ablate.report.figures import figures
from n2n_ablate.report.figures.axes import of_trials
from n2n_ablate.report.figures.figures import data_png
from n2n_ablate.report.sources import Sources
from n2n_ablate.report.text import captions
from n2n_ablate.storage.recovered_images import RecoveredImages
from n2n_ablate.storage.reopen import Reopened
from n2n_ablate.study import BASELINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


_MOST = 30  # trials in a figure that names each: more cannot be read


def arms(result: StudyTrials, condition: ConditionAnalysis, most: int) -> list[TrialResult]:
    """Return the trials worth a curve or a picture: baseline, contrasts, the highest, references."""
    by_name = {each.trial.name: each for each in result.trials}
    order = [BASELINE, *(record.contrast.name for record in condition.contrasts)]
    order += [condition.highest.name] if condition.highest else []
    for role in ("reference", "declared"):
        order += [row.name for row in condition.trials if row.role == role]
    return [by_name[name] for name in dict.fromkeys(order) if name in by_name][:most]


def shown(rows: Sequence[TrialRecord]) -> tuple[list[TrialRecord], str]:
    """Return the rows that a figure names, in their order, and a sentence if some are left out.

    The baseline, contrasts and references come first, then the highest means.
    """
    trained = [row for row in rows if row.role != "untrained"]
    chosen = sorted(trained, key=lambda row: row.role == "search")[:_MOST]
    names = {row.name for row in chosen}
    kept = [row for row in trained if row.name in names]
    return kept, captions.omitted(len(kept), len(trained))


def colours(given: Sources) -> dict[str, str]:
    """Return the colours of all trials by what tables call them, those worth a curve first."""
    result, names, order = given.study.result, dict[str, str](), list[str]()
    for condition in given.analysis.conditions:
        names |= tables.row_names(condition)
        decided = given.analysis.deciding.condition(condition.condition)
        chosen = [
            *arms(given.deciding, decided, len(result.trials)),
            *arms(result, condition, len(result.trials)),
        ]
        order += [each.trial.name for each in chosen]
    order += [each.trial.name for each in result.trials]
    return of_trials(names.get(BASELINE, BASELINE), (names.get(name, name) for name in order))


def _figure(parts: Sequence[Drawing], caption: str, left_out: str, key: str) -> Figure:
    return Figure(parts, f"{caption} {left_out}".rstrip(), key)


def differences(analysis: StudyAnalysis, condition: ConditionAnalysis, key: str) -> Iterator[Block]:
    """Yield the differences from the baseline, of the trials and of the confirmation."""
    names, metric = tables.row_names(condition), analysis.metric
    rows, left_out = shown(tables.shown_rows(analysis, condition))
    if not any(row.contrast and row.contrast.estimate is not None for row in rows):
        return
    title = "main study" if analysis.confirmation else ""
    parts = [difference_figures.differences(rows, names, metric, title)]
    later = analysis.confirmation
    if later is not None:
        decided = later.analysis.condition(condition.condition)
        held_out, _ = shown(decided.trials)
        if held_out:
            known = {**tables.row_names(decided), **names}
            parts.append(difference_figures.differences(held_out, known, metric, "held-out images"))
    verdicts = any(
        record.verdict for record in analysis.deciding.condition(condition.condition).contrasts
    )
    caption = captions.differences(metric, confirmed=later is not None, verdicts=verdicts)
    yield _figure(parts, caption, left_out, f"differences-{key}")


def responses(given: Sources, condition: ConditionAnalysis, key: str) -> Iterator[Block]:
    """Yield the response to the only factor, if its levels are numbers."""
    plan = given.study.plan
    factor = only_factor(plan)
    rows = curve_figures.along(tables.shown_rows(given.analysis, condition), factor)
    if not factor or len(rows) < 2:
        return
    base = curve_figures.number(plan.baseline.values.get(factor))
    fitted = curve_figures.curve(given.study.result, factor, condition.condition)
    figure = curve_figures.response(rows, factor, base, plan.study.margin, fitted)
    caption = captions.response(factor, fitted, confirmed=given.confirmed)
    yield Figure([figure], caption, f"response-{key}")


def curves(given: Sources, condition: ConditionAnalysis, key: str, most: int) -> Iterator[Block]:
    """Yield PSNR by step and the difference from the baseline by step, of the stage that decides."""
    result, label = given.deciding, condition.condition
    names = tables.row_names(condition)
    decided = given.analysis.deciding.condition(label)
    chosen = {
        names.get(each.trial.name, each.trial.name): each for each in arms(result, decided, most)
    }
    inks = colours(given)
    drawn = [curve_figures.curves(chosen, label, inks)]
    if result.baseline is not None:
        drawn.append(curve_figures.gains(chosen, result.baseline, label, inks))
    parts = [figure for figure in drawn if figure is not None]
    if not parts:
        return
    caption = captions.curves(band=len(parts) > 1, confirmed=given.confirmed)
    left_out = captions.omitted(len(chosen), len(result.trials))
    yield _figure(parts, caption, left_out, f"curves-{key}")


def times(given: Sources, condition: ConditionAnalysis, key: str) -> Iterator[Block]:
    """Yield PSNR against training time, where times differ by more than chance."""
    rows, left_out = shown(condition.trials)
    if not difference_figures.worth_drawing_times(rows, given.analysis.metric):
        return
    figure = difference_figures.time_against_metric(
        rows, tables.row_names(condition), given.analysis.metric, colours(given)
    )
    caption = captions.times(front=any(row.pareto for row in rows))
    yield _figure([figure], caption, left_out, f"times-{key}")


def diagnostics(given: Sources, condition: ConditionAnalysis, key: str) -> Iterator[Block]:
    """Yield PSNR against leak and gap; nothing with fewer than two trials."""
    names = tables.row_names(condition)
    rows, left_out = shown(condition.trials)
    kept = {row.name for row in rows}
    dots = points(given.study.result, given.diagnoses, condition.condition)
    dots = [dot for dot in dots if dot.trial in kept]
    if len({dot.trial for dot in dots}) < 2:
        return
    dots = [replace(dot, trial=names.get(dot.trial, dot.trial)) for dot in dots]
    figure = diagnostic_figures.psnr_by_diagnostics(dots, colours(given))
    caption = captions.diagnostics(confirmed=given.confirmed)
    yield _figure([figure], caption, left_out, f"diagnostics-{key}")


def measured_noise(
    given: Sources, condition: ConditionAnalysis, measured: Mapping[str, Diagnosis], key: str
) -> Iterator[Block]:
    """Yield what the noise of a condition is like where it was measured and its images are there."""
    samples = given.images.samples if given.images else ()
    shots = {
        each.image.name: (each.image.pixels, each.shots)
        for each in samples
        if each.condition.label == condition.condition and each.condition.pairs
    }
    if not shots:
        return
    scenes = {name: noise_figures(*each) for name, each in shots.items()}
    caption = captions.measured_noise(len(scenes), min(each.shots for each in scenes.values()))
    yield Figure(diagnostic_figures.measured_noise(scenes, measured), caption, f"noise-{key}")


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
