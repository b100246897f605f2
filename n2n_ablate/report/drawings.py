"""Figures of a report as blocks: what is worth drawing, with which trials and which caption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from n2n_ablate.analysis.condition import finals
from n2n_ablate.analysis.diagnoses import points
from n2n_ablate.analysis.names import only_factor
from n2n_ablate.analysis.study_records import ConditionAnalysis, StudyAnalysis, TrialRecord
from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.diagnostics.measured_noise import noise_figures
from n2n_ablate.records import StudyTrials, TrialResult
from n2n_ablate.report import tables
from n2n_ablate.report.document import Block, Figure
from n2n_ablate.report.figures import curves as curve_figures
from n2n_ablate.report.figures import diagnostics as diagnostic_figures
from n2n_ablate.report.figures import differences as difference_figures
from n2n_ablate.report.figures import measured_noise as noise_figure
from n2n_ablate.report.figures import responses as response_figures
from n2n_ablate.report.figures.axes import of_trials
from n2n_ablate.report.sources import Sources
from n2n_ablate.report.text import captions
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
    title = "study's own trials" if analysis.confirmation else ""
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
    rows = response_figures.along(tables.shown_rows(given.analysis, condition), factor)
    if not factor or len(rows) < 2:
        return
    base = response_figures.number(plan.baseline.values.get(factor))
    fitted = response_figures.curve(given.study.result, factor, condition.condition)
    figure = response_figures.response(rows, factor, base, plan.study.margin, fitted)
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
    yield Figure(noise_figure.measured_noise(scenes, measured), caption, f"noise-{key}")


def loss(given: Sources, condition: ConditionAnalysis, key: str) -> Iterator[Block]:
    """Yield PSNR against the final training loss, without the references."""
    names = tables.row_names(condition)
    rows, left_out = shown([row for row in condition.trials if row.role != "reference"])
    values = finals(given.study.result, condition.condition)
    by_name = {names[row.name]: values[row.name] for row in rows if row.name in values}
    guide = condition.loss_guide
    tau = guide.tau if guide and guide.n_trials > 2 else None  # two can only agree or disagree
    figure = diagnostic_figures.psnr_by_loss(by_name, colours(given), tau)
    caption = captions.loss(confirmed=given.confirmed)
    yield _figure([figure], caption, left_out, f"loss-{key}")
