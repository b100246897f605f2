"""The report of a study as a document: answer, tables, figures, images, methods, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from n2n_ablate.analysis.diagnoses import points
from n2n_ablate.analysis.study_records import ConditionAnalysis, StudyAnalysis
from n2n_ablate.diagnostics.relation import relations
from n2n_ablate.files import slugs
from n2n_ablate.registry import Registry
from n2n_ablate.report import drawings, samplers, study, supporting, tables
from n2n_ablate.report.document import (
    Block,
    Definitions,
    Document,
    Heading,
    Lines,
    Paragraph,
)
from n2n_ablate.report.drawings import Stage, gallery
from n2n_ablate.report.sources import Sources
from n2n_ablate.report.text import captions, methods
from n2n_ablate.report.text import diagnostics as diagnostics_text
from n2n_ablate.report.text import study as text

_CURVES, _STRIPS, _SAMPLERS = 6, 4, 4
_MOST_FAILURES = 50


def report_document(given: Sources, registry: Registry | None = None) -> Document:
    """Return the report.

    `registry`: draws the samplers; without it they are left out.
    """
    analysis = given.analysis
    several = len(analysis.conditions) > 1
    keys = slugs(condition.condition for condition in analysis.conditions)
    blocks: list[Block] = []
    for condition in analysis.conditions:
        blocks += study.answer_blocks(analysis, condition, dots=False)
    if found := text.search_text(analysis):
        blocks.append(Paragraph(found))
    if summary := tables.summary_table(analysis):
        blocks.append(summary)
    if given.problems:
        blocks += [Heading("Missing", 2, "missing"), Lines(given.problems, "warning")]
    for condition in analysis.conditions:
        key = keys[condition.condition]
        blocks.append(Heading(condition.condition if several else "Results", 2, f"results-{key}"))
        blocks += _condition(given, condition, key)
    if registry is not None and given.figures:
        chosen = drawings.arms(given.study.result, analysis.conditions[0], _SAMPLERS)
        pictures = list(samplers.sampler_pictures(chosen, given.study.plan.conditions[0], registry))
        blocks += [Heading("Samplers", 2, "samplers"), *pictures] if pictures else []
    blocks += _failures(analysis)
    blocks += [
        Heading("Methods", 2, "methods"),
        Paragraph(methods.paragraph(given.study, analysis)),
        Definitions(methods.facts(given.study)),
    ]
    settings = f", with {', '.join(given.study.plan.heeded)}" if given.study.plan.heeded else ""
    subtitle = f"Study {analysis.study}, profile {analysis.profile}{settings}"
    return Document(analysis.question, subtitle, blocks)


def _condition(given: Sources, condition: ConditionAnalysis, key: str) -> Iterator[Block]:
    analysis, label = given.analysis, condition.condition
    decided = analysis.deciding.condition(label)
    names = tables.row_names(condition)
    yield from _tables(analysis, condition, f"{analysis.study}-{key}")
    if given.figures:
        yield from drawings.differences(given.analysis, condition, key)
        yield from drawings.responses(given, condition, key)
        yield from drawings.curves(given, condition, key, _CURVES)
        yield from drawings.times(given, condition, key)
    name = f"{analysis.study}-{key}"
    beside = (
        supporting.supporting_table(decided.contrasts, key=f"{name}-supporting"),
        supporting.secondary_table(decided, key=f"{name}-secondary"),
        supporting.training_table(decided, key=f"{name}-training"),
    )
    yield from filter(None, beside)
    if variance := text.variance_text(decided.variance):
        yield Paragraph(variance)
    if given.figures:
        yield from _strips(given, condition, names)
    yield from _diagnostics(given, condition, names, key)
    if condition.loss_guide and (guide := text.loss_text(condition.loss_guide)):
        yield Heading("Choosing without clean images", 3)
        yield Paragraph(guide)


def _tables(analysis: StudyAnalysis, condition: ConditionAnalysis, key: str) -> Iterator[Block]:
    """Yield the tables of a condition with captions and keys."""
    label, stage = condition.condition, analysis.deciding.condition(condition.condition)
    metric = analysis.metric
    trials = tables.trials_table(analysis, condition)
    yield replace(trials, caption=captions.trials(metric, condition.scope, label), key=key)
    if effects := tables.effects_table(analysis, condition):
        yield replace(
            effects, caption=captions.effects(metric, condition.scope, label), key=f"{key}-effects"
        )
    if confirmed := tables.confirmation_table(analysis, label):
        caption = captions.confirmation(metric, stage.scope, label)
        yield replace(confirmed, caption=caption, key=f"{key}-confirmation")


def _strips(
    given: Sources, condition: ConditionAnalysis, names: Mapping[str, str]
) -> Iterator[Block]:
    """Yield denoised images of the stage that gives the verdicts if they are there, else of the trials."""
    found, label = given.study, condition.condition
    stage = None
    later, header = found.result.confirmed, found.header.confirmed
    if later and header and given.later_images and given.later_images.clean:
        decided = given.analysis.deciding.condition(label)
        stage = Stage(found, later, header, given.later_images, decided, held_out=True)
    elif given.images is not None and given.images.clean:
        held_out = False if given.confirmed else None
        stage = Stage(found, found.result, found.header, given.images, condition, held_out)
    if stage is None:
        return
    chosen = drawings.arms(stage.result, stage.analysis, _STRIPS)
    if strips := gallery(
        stage, chosen, names, captions.omitted(len(chosen), len(stage.result.trials))
    ):
        yield strips


def _diagnostics(
    given: Sources, condition: ConditionAnalysis, names: Mapping[str, str], key: str
) -> Iterator[Block]:
    measured = {
        names.get(name, name): by_condition[condition.condition]
        for name, by_condition in given.diagnoses.items()
        if condition.condition in by_condition
    }
    if not measured:
        return
    yield Heading("Diagnostics of the samplers", 3)
    yield samplers.diagnostics_table(measured, "trial", f"{given.analysis.study}-{key}-diagnostics")
    searched = {names[row.name] for row in condition.trials if row.role == "search"}
    warned = {name: each for name, each in measured.items() if name not in searched}
    if warnings := diagnostics_text.warning_lines(warned):
        yield Lines(warnings)
    if given.figures:
        yield from drawings.measured_noise(given, condition, measured, key)
        yield from drawings.diagnostics(given, condition, key)
    known = relations(points(given.study.result, given.diagnoses, condition.condition))
    yield from (Paragraph(each) for each in map(diagnostics_text.relation_text, known) if each)


def _failures(analysis: StudyAnalysis) -> Iterator[Block]:
    """Yield every fit without a result; nothing if there is none."""
    lost = [failure for stage in analysis.stages for failure in stage.failures]
    if not lost:
        return
    yield Heading("Failed fits", 2, "failed-fits")
    yield Paragraph(text.failed_fits_text(len(lost)))
    lines = [text.failure_line(failure) for failure in lost[:_MOST_FAILURES]]
    more = len(lost) - _MOST_FAILURES
    yield Lines([*lines, *([f"and {more} more"] if more > 0 else [])])
